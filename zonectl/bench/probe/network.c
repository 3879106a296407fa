/*
 * The network, against the server on the host (echo.c). Each connection is greeted by a byte, so that no more of them
 * can be made than are accepted; its first byte to the server says what it is for.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "echo.h"
#include "probe.h"
#include "spawn.h"

enum { TCP_PATIENCE_S = 20, UDP_PATIENCE_S = 1, UDP_TRIES = 3, CHUNK_BYTES = 64 * KIB };

static const char *parse_server(const struct request *request, struct sockaddr_in *server)
{
    const char *text = setting(request, "server");
    char address[INET_ADDRSTRLEN] = "";
    const char *colon = text ? strrchr(text, ':') : NULL;
    unsigned long port = colon ? strtoul(colon + 1, NULL, 10) : 0;

    if (!text)
        return no("a server must be told");
    if (colon && (size_t)(colon - text) < sizeof address)
        memcpy(address, text, (size_t)(colon - text));
    *server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (!inet_pton(AF_INET, address, &server->sin_addr) || port < 1 || port > UINT16_MAX ||
        colon[1 + strspn(colon + 1, "0123456789")])
        return no("a server is ADDRESS:PORT, not \"%.64s\"", text);
    return NULL;
}

/* A socket that waits only so long for anything. */
static const char *open_socket(int type, int patience_s, int *descriptor)
{
    struct timeval patience = {.tv_sec = patience_s};
    int on = 1;

    *descriptor = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (*descriptor < 0)
        return failed("socket", "");
    setsockopt(*descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(*descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (type == SOCK_STREAM)
        setsockopt(*descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return NULL;
}

/* Closed on failure. */
static const char *dial(const struct sockaddr_in *server, int *connection)
{
    char greeting;
    const char *reason = open_socket(SOCK_STREAM, TCP_PATIENCE_S, connection);

    if (reason)
        return reason;
    if (connect(*connection, (const struct sockaddr *)server, sizeof *server))
        reason = failed("connect", "");
    else if (read(*connection, &greeting, 1) != 1)
        reason = no("the server closes the connection");
    if (reason)
        close(*connection);
    return reason;
}

/* A connection for that. Closed on failure. */
static const char *dial_for(char use, const struct request *request, int *connection)
{
    struct sockaddr_in server;
    const char *reason = parse_server(request, &server);

    if (!reason)
        reason = dial(&server, connection);
    if (reason)
        return reason;
    if (write(*connection, &use, 1) == 1)
        return NULL;
    reason = failed("write", "");
    close(*connection);
    return reason;
}

static const char *go_round(int connection, uint64_t count, uint64_t *nanoseconds)
{
    char byte = 'z';
    uint64_t begin = now();

    for (uint64_t loop = 0; loop < count; loop++)
        if (write(connection, &byte, 1) != 1 || read(connection, &byte, 1) != 1)
            return no("the server does not answer");
    *nanoseconds = now() - begin;
    return NULL;
}

/* One operation: a byte to the server and back, on one TCP connection. */
const char *run_tcp(const struct request *request, uint64_t *nanoseconds)
{
    int connection;
    const char *reason = dial_for(ECHO, request, &connection);

    if (reason)
        return reason;
    reason = go_round(connection, request->loops, nanoseconds);
    close(connection);
    return reason;
}

static bool send_all(int connection, uint64_t left)
{
    static const char zeros[CHUNK_BYTES];

    while (left > 0) {
        ssize_t sent = send(connection, zeros, left < sizeof zeros ? left : sizeof zeros, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        left -= (uint64_t)sent;
    }
    return true;
}

/* Until the server has said how much has come. */
static const char *stream(int connection, uint64_t bytes, uint64_t *nanoseconds)
{
    uint64_t arrived;
    uint64_t begin = now();

    if (!send_all(connection, bytes) || shutdown(connection, SHUT_WR))
        return failed("send", "");
    if (recv(connection, &arrived, sizeof arrived, MSG_WAITALL) != sizeof arrived)
        return no("the server does not answer");
    *nanoseconds = now() - begin;
    return be64toh(arrived) == bytes ? NULL : no("the server has got less than was sent");
}

/* One operation: a MiB sent to the server on one TCP connection. */
const char *run_send(const struct request *request, uint64_t *nanoseconds)
{
    int connection;
    const char *reason = dial_for(SINK, request, &connection);

    if (reason)
        return reason;
    reason = stream(connection, request->loops * MIB, nanoseconds);
    close(connection);
    return reason;
}

/* Until all has come that is asked for. */
static const char *draw(int connection, uint64_t bytes, uint64_t *nanoseconds)
{
    static char chunk[CHUNK_BYTES];
    const uint64_t wanted = htobe64(bytes);
    uint64_t begin = now();

    if (send(connection, &wanted, sizeof wanted, MSG_NOSIGNAL) != sizeof wanted)
        return failed("send", "");
    while (bytes > 0) {
        ssize_t got = recv(connection, chunk, bytes < sizeof chunk ? bytes : sizeof chunk, 0);

        if (got <= 0)
            return no("the server sends less than was asked for");
        bytes -= (uint64_t)got;
    }
    *nanoseconds = now() - begin;
    return NULL;
}

/* One operation: a MiB that comes from the server on one TCP connection. */
const char *run_receive(const struct request *request, uint64_t *nanoseconds)
{
    int connection;
    const char *reason = dial_for(SOURCE, request, &connection);

    if (reason)
        return reason;
    reason = draw(connection, request->loops * MIB, nanoseconds);
    close(connection);
    return reason;
}

/* One operation: a connection made, greeted, and closed by a reset: none is left waiting for its port. */
const char *run_connect(const struct request *request, uint64_t *nanoseconds)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    struct sockaddr_in server;
    const char *reason = parse_server(request, &server);
    uint64_t begin = now();

    for (uint64_t loop = 0; !reason && loop < request->loops; loop++) {
        int connection;

        reason = dial(&server, &connection);
        if (reason)
            break;
        setsockopt(connection, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(connection);
    }
    *nanoseconds = now() - begin;
    return reason;
}

/* A datagram and its answer. One that is lost is sent again, after a second that no median minds. */
static const char *exchange(int descriptor, uint64_t number)
{
    for (int tried = 0; tried < UDP_TRIES; tried++) {
        uint64_t answer = number - 1;

        if (send(descriptor, &number, sizeof number, 0) != sizeof number)
            return failed("send", "");
        while (recv(descriptor, &answer, sizeof answer, 0) == sizeof answer)
            if (answer == number)
                return NULL;
        if (errno != EAGAIN)
            return failed("recv", "");
    }
    return no("no datagram comes back");
}

static const char *exchange_all(int descriptor, uint64_t count, uint64_t *nanoseconds)
{
    uint64_t begin = now();

    for (uint64_t loop = 0; loop < count; loop++) {
        const char *reason = exchange(descriptor, loop);

        if (reason)
            return reason;
    }
    *nanoseconds = now() - begin;
    return NULL;
}

/* One operation: a datagram of 8 bytes to the server and back. */
const char *run_udp(const struct request *request, uint64_t *nanoseconds)
{
    struct sockaddr_in server;
    int descriptor;
    const char *reason = parse_server(request, &server);

    if (!reason)
        reason = open_socket(SOCK_DGRAM, UDP_PATIENCE_S, &descriptor);
    if (reason)
        return reason;
    if (connect(descriptor, (const struct sockaddr *)&server, sizeof server))
        reason = failed("connect", "");
    else
        reason = exchange_all(descriptor, request->loops, nanoseconds);
    close(descriptor);
    return reason;
}

/* ------------------------------------------------------------------------------------------------------- iperf3 */

static const char *ask_for_iperf(const struct request *request, in_port_t *port)
{
    int connection;
    const char *reason = dial_for(IPERF, request, &connection);

    if (reason)
        return reason;
    if (recv(connection, port, sizeof *port, MSG_WAITALL) != sizeof *port)
        reason = no("the server does not answer");
    close(connection);
    return reason || *port ? reason : no("there is no iperf3 on the host");
}

/* One operation: iperf3 run to its end, with 64 MiB to send to its server. */
const char *run_iperf(const struct request *request, uint64_t *nanoseconds)
{
    char address[INET_ADDRSTRLEN];
    char number[8];
    struct program program = {.argv = {(char *)"/usr/bin/iperf3", (char *)"-c", address, (char *)"-p", number,
                                       (char *)"-n", (char *)"64M"},
                              .input = -1,
                              .output = -1};
    struct sockaddr_in server;
    in_port_t port;
    const char *reason = parse_server(request, &server);

    if (!reason)
        reason = ask_for_iperf(request, &port);
    if (reason)
        return reason;
    inet_ntop(AF_INET, &server.sin_addr, address, sizeof address);
    snprintf(number, sizeof number, "%u", ntohs(port));
    reason = open_streams(&program, "", 0);
    if (!reason)
        reason = run_all(&program, -1, request->loops, nanoseconds);
    close_streams(&program);
    return reason;
}
