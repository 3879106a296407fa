/*
 * iperf3's server on the host. It is started when the first client asks: it cannot bind an address that is not there
 * yet, and the bridge has its address when a zone is. It dies with this process.
 */
#include "iperf.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

enum { PATIENCE_MS = 10000 };

static const char program[] = "/usr/bin/iperf3";

static pid_t server = -1;
static int output = -1;
static in_port_t port;

int iperf_output(void)
{
    return output;
}

void end_iperf(void)
{
    if (server <= 0)
        return;
    close(output);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    output = -1;
    server = -1;
}

/* Whether there was something; at the end it is gone. */
static bool hear(char *said, size_t size)
{
    ssize_t got = read(output, said, size - 1);

    if (got <= 0) {
        end_iperf();
        return false;
    }
    said[got] = '\0';
    return true;
}

void read_iperf(void)
{
    char said[4 * KIB];

    hear(said, sizeof said);
}

/* One that nobody has now. */
static in_port_t free_port(struct in_addr address)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = address};
    socklen_t length = sizeof here;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (descriptor < 0)
        return 0;
    if (bind(descriptor, (struct sockaddr *)&here, sizeof here) ||
        getsockname(descriptor, (struct sockaddr *)&here, &length))
        here.sin_port = 0;
    close(descriptor);
    return ntohs(here.sin_port);
}

static noreturn void become(struct in_addr address, int said)
{
    char where[INET_ADDRSTRLEN];
    char number[8];
    char *const argv[] = {(char *)program, (char *)"-s",  (char *)"-B", where, (char *)"-p",
                          number,          (char *)"--forceflush", NULL};
    /* Its buffer is a file of its own; everybody may have one there, and no disk is written to. */
    char *const environment[] = {(char *)"LC_ALL=C", (char *)"TMPDIR=/dev/shm", NULL};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    inet_ntop(AF_INET, &address, where, sizeof where);
    snprintf(number, sizeof number, "%u", port);
    dup2(said, STDOUT_FILENO);
    dup2(said, STDERR_FILENO);
    execve(program, argv, environment);
    _exit(127);
}

/* Until it listens; what it said before comes in one piece or two. */
static bool is_listening(void)
{
    char said[4 * KIB];
    struct pollfd waiting = {.fd = output, .events = POLLIN};

    while (poll(&waiting, 1, PATIENCE_MS) == 1) {
        if (!hear(said, sizeof said))
            return false;
        if (strstr(said, "listening"))
            return true;
    }
    end_iperf();
    return false;
}

in_port_t iperf_port(struct in_addr address)
{
    int ends[2];

    if (server > 0)
        return port;
    port = free_port(address);
    if (!port || access(program, X_OK) || pipe(ends))
        return 0;
    server = fork();
    if (server == 0)
        become(address, ends[1]);
    close(ends[1]);
    output = ends[0];
    if (server > 0)
        return is_listening() ? port : 0;
    close(output);
    output = -1;
    return 0;
}
