/* Standard streams and a terminal of the zone's own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "entry.h"

/* `fd` as those of 0, 1 and 2 that are in `streams`. */
static void connect_streams(int fd, unsigned streams, const char *subject)
{
    for (int number = 0; number < 3; number++)
        if (streams & (1U << number) && dup2(fd, number) < 0)
            call_failed("dup2", subject);
}

static void connect_null(int root, unsigned streams)
{
    struct stat found;

    if (!(streams & 7))
        return;
    int null = open_in_root(root, "/dev/null", O_RDWR | O_NONBLOCK | O_NOCTTY);
    if (fstat(null, &found))
        call_failed("fstat", "/dev/null");
    if (!S_ISCHR(found.st_mode) || found.st_rdev != makedev(1, 3))
        refuse("ZonectlError", "the zone's /dev/null is not the null device");
    connect_streams(null, streams, "/dev/null");
    close(null);
}

/* The zone could have replaced its devpts, or what is in it. */
static void check_terminal(int fd, const char *subject, unsigned first, unsigned last)
{
    struct stat found;
    struct statfs system;

    if (fstat(fd, &found))
        call_failed("fstat", subject);
    if (fstatfs(fd, &system))
        call_failed("fstatfs", subject);
    unsigned number = major(found.st_rdev);
    if (!S_ISCHR(found.st_mode) || number < first || number > last || system.f_type != DEVPTS_SUPER_MAGIC) {
        errno = ENODEV;
        call_failed("fstat", subject);
    }
}

/* A new terminal of the zone's devpts as this session's and as 0, 1 and 2; the master. As kernel/pty.py. */
static int take_terminal(int root, unsigned short rows, unsigned short columns)
{
    struct statfs system;
    struct winsize window = {.ws_row = rows, .ws_col = columns};
    int unlocked = 0;

    int devpts = open_in_root(root, "/dev/pts", O_RDONLY | O_DIRECTORY);
    if (fstatfs(devpts, &system))
        call_failed("fstatfs", "/dev/pts");
    if (system.f_type != DEVPTS_SUPER_MAGIC) {
        errno = ENODEV;
        call_failed("fstatfs", "not a devpts");
    }
    /* NO_XDEV: nothing mounted on ptmx is opened, so that it is the file system's own. */
    int master = open_below(
        devpts, "ptmx", O_RDWR | O_NOCTTY, RESOLVE_NO_XDEV | RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    close(devpts);
    check_terminal(master, "ptmx", TTYAUX_MAJOR, TTYAUX_MAJOR);
    if (ioctl(master, TIOCSPTLCK, &unlocked))
        call_failed("TIOCSPTLCK", "");
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        call_failed("TIOCGPTPEER", "");
    check_terminal(slave, "slave", UNIX98_PTY_SLAVE_MAJOR, UNIX98_PTY_SLAVE_MAJOR + UNIX98_PTY_MAJOR_COUNT - 1);
    if (ioctl(master, TIOCSWINSZ, &window))
        call_failed("TIOCSWINSZ", "");
    if (getsid(0) != getpid() && setsid() < 0)
        call_failed("setsid", "");
    if (ioctl(slave, TIOCSCTTY, 0))
        call_failed("TIOCSCTTY", "");
    connect_streams(slave, ~0U, "slave");
    close(slave);
    return master;
}

/* The master of a new terminal, or -1 where there is none. */
int take_streams(int root, unsigned streams, unsigned short rows, unsigned short columns)
{
    if (rows)
        return take_terminal(root, rows, columns);
    if (streams & OWN_SESSION && getsid(0) != getpid() && setsid() < 0)
        call_failed("setsid", "");
    connect_null(root, streams);
    return -1;
}
