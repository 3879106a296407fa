/*
 * The probe: does the work that zonectl's benchmark asks for and takes the time, wherever it has been started.
 *
 *     probe serve [--device PATH]   greets, then answers requests line by line, until its input ends
 *     probe echo ADDRESS PORT [iperf3]
 *                                   serves the network's workloads on the host, as nobody; PORT 0 for any; with
 *                                   iperf3's server once a client asks, if that is wanted; until its input ends
 *     probe true                    does nothing, well: what the workloads execute
 *
 * One static program, so that every arm runs the same bytes whatever its root holds. The protocol stands in
 * ../runner.py. With --device it speaks on a character device instead of its standard streams; as process 1 of a
 * virtual machine it then mounts what it needs first, and turns the machine off in the end.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "echo.h"
#include "probe.h"

enum { USAGE = 2 };

static int serve_device(const char *path)
{
    int device;
    int status;

    if (getpid() == 1)
        become_init();
    device = open_device(path);
    status = device < 0 ? 1 : serve(device, device);
    if (getpid() == 1)
        power_off();
    return status;
}

int main(int argc, char **argv)
{
    /* Kernels differ in which words they hand to their first process, but not in what they make its environment of. */
    const char *device = getenv("probe_device");

    if (device && getpid() == 1)
        return serve_device(device);
    if (argc == 2 && strcmp(argv[1], "true") == 0)
        return 0;
    /* Whoever listens may go: write(2) then says so. */
    signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && strcmp(argv[1], "serve") == 0)
        return serve(STDIN_FILENO, STDOUT_FILENO);
    if (argc == 4 && strcmp(argv[1], "serve") == 0 && strcmp(argv[2], "--device") == 0)
        return serve_device(argv[3]);
    if (argc == 4 && strcmp(argv[1], "echo") == 0)
        return serve_echo(argv[2], argv[3], false);
    if (argc == 5 && strcmp(argv[1], "echo") == 0 && strcmp(argv[4], "iperf3") == 0)
        return serve_echo(argv[2], argv[3], true);
    dprintf(STDERR_FILENO, "usage: probe serve [--device PATH] | probe echo ADDRESS PORT [iperf3] | probe true\n");
    return USAGE;
}
