/* The probe in a virtual machine: as its first process, and on its console. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "probe.h"

/* What the workloads use; where a mount fails (it is there already, the kernel has none) they say what is missing. */
void become_init(void)
{
    static const struct {
        const char *type, *target;
    } mounts[] = {{"proc", "/proc"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}};

    for (size_t at = 0; at < sizeof mounts / sizeof *mounts; at++) {
        mkdir(mounts[at].target, 0755);
        mount(mounts[at].type, mounts[at].target, mounts[at].type, 0, NULL);
    }
}

/* A descriptor of the device, whose terminal passes bytes as they are (termios(3)); -1 after a word about it. */
int open_device(const char *path)
{
    struct termios settings;
    int device = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (device < 0) {
        perror(path);
        return -1;
    }
    if (tcgetattr(device, &settings) == 0) {
        cfmakeraw(&settings);
        tcsetattr(device, TCSAFLUSH, &settings);
    }
    return device;
}

/* The kernel panics when its first process ends: the machine is turned off instead. */
noreturn void power_off(void)
{
    sync();
    reboot(RB_POWER_OFF);
    _exit(1);
}
