/*
 * The server of the network's workloads: TCP and UDP on one port of the host, for arms that reach it in different ways.
 * One thread and no state but a number for each connection, so that it is the same for all of them.
 *
 * Where it listens on a bridge, zones that nobody trusts reach it too: it is nobody before it listens.
 */
#include "echo.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "iperf.h"
#include "probe.h"

enum { MOST_CONNECTIONS = 1024, BACKLOG = 512, EVENTS = 64, TRIES = 16 };
enum { NOBODY = 65534 }; /* to the kernel too (DEFAULT_OVERFLOWUID) */

/* By descriptor. */
static struct {
    char use; /* 0: not said yet */
    unsigned char told; /* bytes of the number that a SOURCE is told */
    uint64_t bytes; /* that came; of a SOURCE that are to go yet */
} connections[MOST_CONNECTIONS];

static char buffer[256 * KIB];
static const char zeros[sizeof buffer]; /* what goes to one client is nothing that came from another */
static int events;
static int listener;
static int datagrams;
static struct sockaddr_in here;
static bool has_iperf;

static void tell_epoll(int operation, int descriptor, uint32_t wanted)
{
    struct epoll_event event = {.events = wanted, .data.fd = descriptor};

    if (epoll_ctl(events, operation, descriptor, &event)) {
        perror("epoll_ctl");
        exit(1);
    }
}

static void watch(int descriptor)
{
    tell_epoll(EPOLL_CTL_ADD, descriptor, EPOLLIN);
}

/* --------------------------------------------------------------------------------------------------------- begin */

/* Root, and whoever has its capabilities, has them no longer: not this process, nor what it executes. */
static bool become_nobody(void)
{
    int with_parent = 0;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return false;
    if (geteuid() != 0)
        return true;
    prctl(PR_GET_PDEATHSIG, &with_parent);
    if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
        return false;
    /* The change of ids has cleared it (prctl(2)). If the parent has ended meanwhile, standard input has. */
    return prctl(PR_SET_PDEATHSIG, with_parent) == 0;
}

/* A bound socket; the address need not be there yet (ip(7)), as it is the bridge's, which comes with the first zone. */
static int bound(int type, const struct sockaddr_in *address)
{
    int on = 1;
    int descriptor = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (descriptor < 0)
        return -1;
    setsockopt(descriptor, IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
    if (type == SOCK_STREAM)
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(descriptor, (const struct sockaddr *)address, sizeof *address) == 0)
        return descriptor;
    close(descriptor);
    return -1;
}

/* Both on one port, which the kernel chooses where none is told; the one it has for TCP may be taken for UDP. */
static bool open_sockets(struct sockaddr_in *address)
{
    const in_port_t wanted = address->sin_port;
    socklen_t length = sizeof *address;

    for (int tried = 0; tried < TRIES; tried++) {
        address->sin_port = wanted;
        listener = bound(SOCK_STREAM, address);
        if (listener < 0)
            return false;
        getsockname(listener, (struct sockaddr *)address, &length);
        datagrams = bound(SOCK_DGRAM, address);
        if (datagrams >= 0)
            return listen(listener, BACKLOG) == 0;
        close(listener);
        if (wanted || errno != EADDRINUSE)
            return false;
    }
    return false;
}

static bool parse_address(const char *text, const char *port, struct sockaddr_in *address)
{
    unsigned long number = strtoul(port, NULL, 10);

    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
    return *port && !port[strspn(port, "0123456789")] && number <= UINT16_MAX &&
           inet_pton(AF_INET, text, &address->sin_addr) == 1;
}

/* ----------------------------------------------------------------------------------------------------------- work */

static void hang_up(int connection)
{
    close(connection); /* and epoll forgets it */
}

static void welcome(void)
{
    const char greeting = GREETING;
    int on = 1;
    int connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (connection < 0)
        return;
    if (connection >= MOST_CONNECTIONS) {
        hang_up(connection);
        return;
    }
    connections[connection].use = 0;
    connections[connection].told = 0;
    connections[connection].bytes = 0;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(connection);
    if (send(connection, &greeting, 1, MSG_NOSIGNAL) != 1)
        hang_up(connection);
}

/* And watches what iperf3 says, or it would stop when nobody reads that. */
static void tell_iperf(int connection)
{
    bool known = iperf_output() >= 0;
    in_port_t port = htons(iperf_port(here.sin_addr));

    if (!known && iperf_output() >= 0)
        watch(iperf_output());
    (void)!send(connection, &port, sizeof port, MSG_NOSIGNAL);
}

/* The number, which may come in pieces; then there is something to send. False: more came than that. */
static bool learn(int connection, const char *bytes, size_t count)
{
    if (count > sizeof connections->bytes - connections[connection].told)
        return false;
    for (size_t at = 0; at < count; at++)
        connections[connection].bytes = connections[connection].bytes << 8 | (unsigned char)bytes[at];
    connections[connection].told += (unsigned char)count;
    if (connections[connection].told == sizeof connections->bytes)
        tell_epoll(EPOLL_CTL_MOD, connection, EPOLLIN | EPOLLOUT);
    return true;
}

/* A piece of it, as the others wait. False: nobody takes it. */
static bool pour(int connection)
{
    uint64_t left = connections[connection].bytes;
    ssize_t sent = send(connection, zeros, left < sizeof zeros ? (size_t)left : sizeof zeros, MSG_NOSIGNAL);

    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    connections[connection].bytes -= (uint64_t)sent;
    if (connections[connection].bytes == 0)
        tell_epoll(EPOLL_CTL_MOD, connection, EPOLLIN);
    return true;
}

/* What came, without the byte that says what the connection is for. False: it is for nothing that is known. */
static bool use(int connection, const char *bytes, size_t count)
{
    if (!connections[connection].use) {
        connections[connection].use = *bytes++;
        count--;
    }
    if (connections[connection].use == SOURCE)
        return learn(connection, bytes, count);
    connections[connection].bytes += count;
    if (connections[connection].use == ECHO)
        return count == 0 || send(connection, bytes, count, MSG_NOSIGNAL) == (ssize_t)count;
    if (connections[connection].use == IPERF && has_iperf)
        tell_iperf(connection);
    return connections[connection].use == SINK;
}

static void attend(int connection)
{
    ssize_t got = read(connection, buffer, sizeof buffer);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0 && use(connection, buffer, (size_t)got))
        return;
    if (got == 0 && connections[connection].use == SINK) {
        uint64_t bytes = htobe64(connections[connection].bytes);

        (void)!send(connection, &bytes, sizeof bytes, MSG_NOSIGNAL);
    }
    hang_up(connection);
}

static void return_datagram(void)
{
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t got = recvfrom(datagrams, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &length);

    if (got > 0)
        (void)!sendto(datagrams, buffer, (size_t)got, 0, (struct sockaddr *)&from, length);
}

/* True until standard input has ended. */
static bool handle(int descriptor, uint32_t what)
{
    if (descriptor == listener)
        welcome();
    else if (descriptor == datagrams)
        return_datagram();
    else if (descriptor == iperf_output())
        read_iperf();
    else if (descriptor == STDIN_FILENO)
        return read(STDIN_FILENO, buffer, sizeof buffer) > 0;
    else if (!(what & EPOLLOUT))
        attend(descriptor);
    else if (!pour(descriptor))
        hang_up(descriptor);
    return true;
}

static void work(void)
{
    struct epoll_event ready[EVENTS];

    for (;;) {
        int count = epoll_wait(events, ready, EVENTS, -1);

        for (int at = 0; at < count; at++)
            if (!handle(ready[at].data.fd, ready[at].events))
                return;
    }
}

/* Says where it listens, and serves until its standard input, a pipe, ends; with iperf3's server if that is wanted. */
int serve_echo(const char *address, const char *port, bool iperf)
{
    char text[INET_ADDRSTRLEN];

    if (!parse_address(address, port, &here)) {
        dprintf(STDERR_FILENO, "probe: not an address and a port: %s %s\n", address, port);
        return 2;
    }
    has_iperf = iperf;
    if (!become_nobody()) {
        dprintf(STDERR_FILENO, "probe: cannot become nobody: %s\n", strerror(errno));
        return 1;
    }
    events = epoll_create1(EPOLL_CLOEXEC);
    if (events < 0 || !open_sockets(&here)) {
        dprintf(STDERR_FILENO, "probe: %s %s: %s\n", address, port, strerror(errno));
        return 1;
    }
    watch(STDIN_FILENO);
    watch(listener);
    watch(datagrams);
    inet_ntop(AF_INET, &here.sin_addr, text, sizeof text);
    dprintf(STDOUT_FILENO, "%s:%u\n", text, ntohs(here.sin_port));
    work();
    end_iperf();
    return 0;
}
