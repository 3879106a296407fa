/*
 * The command people type, as far as it needs no interpreter: hands its call to zoned and exits with the status.
 *
 * It speaks the protocol of zonectl/daemon/protocol.py where that is simple: zoned runs, the verb is one for it, and none
 * of the standard streams is a terminal. For everything else (a terminal, no zoned, another version, any doubt) it
 * executes the client in Python, which decides and words what is to be said. Until the welcome nothing has been done, so
 * that this is possible; from then on it is here to the end.
 *
 * config.h is written by tools/accelerator.py from the package: VERSION, LAUNCHER, RUN, WARM, FOREGROUND, PASSED_OVER, COLD.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config.h"

enum { HEADER_BYTES = 8, MAX_BODY_BYTES = 16 << 20, MOST_DESCRIPTORS = 8, BROKEN_OFF = 1, WRONG_USE = 2, FOREGROUND_FAILURE = 125 };

static const char *const warm[] = {WARM, NULL};
static const char *const foreground[] = {FOREGROUND, NULL};
static const int relayed[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
static const int stopping[] = {SIGTSTP, SIGCONT};

static char **arguments;
static bool in_foreground;
static bool welcome, cold;
static sigset_t mask_before;

/* The interpreter aborts over a folder before any of our code runs. */
static void refuse_folders(void)
{
    static const char *const names[] = {"input", "output", "error"};
    struct stat found;

    for (int fd = 0; fd < 3; fd++) {
        if (fstat(fd, &found) || !S_ISDIR(found.st_mode))
            continue;
        dprintf(2, "zonectl: standard %s is a directory\n  give a file, a pipe or /dev/null\n", names[fd]);
        _exit(in_foreground ? FOREGROUND_FAILURE : WRONG_USE);
    }
}

/* The client in Python, which begins anew. */
static _Noreturn void leave_it_to_python(void)
{
    refuse_folders();
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
    execv(LAUNCHER, arguments);
    dprintf(2, "zonectl: cannot execute %s: %s\n", LAUNCHER, strerror(errno));
    _exit(in_foreground ? FOREGROUND_FAILURE : BROKEN_OFF);
}

/* Not to be gone on with: before the welcome Python tries, after it the user is told. */
static _Noreturn void give_up(const char *why)
{
    if (!welcome)
        leave_it_to_python();
    dprintf(2, "zonectl: %s\n", why);
    _exit(in_foreground ? FOREGROUND_FAILURE : BROKEN_OFF);
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

/* ---------------------------------------------------------------------------------------------- the command line */

/* The run root that the words before the verb name; NULL if they need more thought than this. `*verb` and `*rest` are set. */
static const char *run_root(char **words, const char **verb, char ***rest)
{
    const char *run = getenv("ZONECTL_RUN");

    for (; *words && **words == '-'; words++) {
        if (is_one_of(*words, (const char *const[]){PASSED_OVER, NULL}))
            continue;
        if (strcmp(*words, COLD) == 0) {
            cold = true;
            continue;
        }
        if (strcmp(*words, "--root") != 0 && strcmp(*words, "--run") != 0)
            return NULL;
        if (!words[1] || !*words[1])
            return NULL;
        if (strcmp(*words, "--run") == 0)
            run = words[1];
        words++;
    }
    *verb = *words;
    *rest = *words ? words + 1 : words;
    return run && *run ? run : RUN;
}

/* Whether `-t` or `--tty` may be among the words: a terminal is pumped although no stream is one. Wrong for a program's
 * own `-t` where no "--" stands before it, which costs time and nothing else. */
static bool may_want_terminal(char **words)
{
    for (; *words && strcmp(*words, "--") != 0; words++)
        if (**words == '-' && ((*words)[1] == '-' ? strcmp(*words, "--tty") == 0 : strchr(*words, 't') != NULL))
            return true;
    return false;
}

static int connected(const char *run)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/zoned.sock", run);
    int sock;

    /* Python resolves ".." by words, the kernel by folders. */
    if (length < 0 || (size_t)length >= sizeof address.sun_path || strstr(run, ".."))
        return -1;
    sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sock >= 0 && connect(sock, (struct sockaddr *)&address, sizeof address) == 0)
        return sock;
    return -1;
}

static bool streams_are_plain(void)
{
    struct stat status;

    for (int stream = 0; stream < 3; stream++)
        if (fstat(stream, &status) != 0 || isatty(stream) || S_ISDIR(status.st_mode))
            return false;
    return true;
}

/* --------------------------------------------------------------------------------------------------------- frames */

struct text {
    char *data;
    size_t length, room;
};

static void append(struct text *text, const char *data, size_t length)
{
    if (text->length + length > text->room) {
        text->room = 2 * (text->length + length);
        text->data = realloc(text->data, text->room);
        if (!text->data)
            give_up("no memory");
    }
    memcpy(text->data + text->length, data, length);
    text->length += length;
}

/* A field and the NUL that ends it. */
static void field(struct text *text, const char *value)
{
    append(text, value, strlen(value) + 1);
}

static void number(struct text *text, const char *format, unsigned value)
{
    char digits[24];

    snprintf(digits, sizeof digits, format, value);
    field(text, digits);
}

static void send_all(int sock, const char *data, size_t length)
{
    while (length) {
        ssize_t sent = send(sock, data, length, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return; /* what it says before it went is still to be read */
        data += sent;
        length -= (size_t)sent;
    }
}

static void send_frame(int sock, char kind, const char *body, size_t length, const int *fds, size_t count)
{
    unsigned char header[HEADER_BYTES] = {(unsigned char)kind, 0, 0, 0, length & 0xff, length >> 8 & 0xff,
                                          length >> 16 & 0xff, length >> 24 & 0xff};
    union {
        char room[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int))];
        struct cmsghdr aligned;
    } control = {0};
    struct iovec part = {header, sizeof header};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (count) {
        message.msg_control = control.room;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(rights), fds, count * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(sock, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent == (ssize_t)sizeof header)
        send_all(sock, body, length);
}

static bool receive_all(int sock, void *data, size_t length)
{
    char *here = data;

    while (length) {
        ssize_t got = recv(sock, here, length, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        here += got;
        length -= (size_t)got;
    }
    return true;
}

/* The next frame's kind, 0 at the end; its body, which ends with a NUL more, is the caller's. Descriptors are not taken:
 * the kernel drops those for which recv(2) has no room. */
static char receive_frame(int sock, char **body, size_t *length)
{
    unsigned char header[HEADER_BYTES];

    if (!receive_all(sock, header, sizeof header))
        return 0;
    *length = header[4] | header[5] << 8 | header[6] << 16 | (size_t)header[7] << 24;
    if (*length > MAX_BODY_BYTES || header[1] || header[2] || header[3])
        give_up("zoned: not a frame");
    *body = malloc(*length + 1);
    if (!*body)
        give_up("no memory");
    if (!receive_all(sock, *body, *length))
        give_up("zoned: the other side broke off inside a frame");
    (*body)[*length] = 0;
    return (char)header[0];
}

static void greet(int sock)
{
    struct text hello = {0};
    unsigned count = 0;
    mode_t mask = umask(077);
    int fds[] = {open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), 0, 1, 2};

    umask(mask);
    if (fds[0] < 0)
        leave_it_to_python();
    while (arguments[1 + count])
        count++;
    field(&hello, "zonectl-1");
    field(&hello, VERSION);
    number(&hello, "%o", mask);
    field(&hello, ""); /* none of them is a terminal */
    field(&hello, "012");
    number(&hello, "%u", 24);
    number(&hello, "%u", 80);
    number(&hello, "%u", 1);
    field(&hello, LAUNCHER);
    number(&hello, "%u", count);
    for (char **word = arguments + 1; *word; word++)
        field(&hello, *word);
    for (char **variable = environ; *variable; variable++)
        field(&hello, *variable);
    send_frame(sock, 'H', hello.data, hello.length, fds, 4);
    free(hello.data);
    close(fds[0]);
}

/* -------------------------------------------------------------------------------------------------------- signals */

static void want(sigset_t *wanted, const int *signals, size_t count)
{
    struct sigaction action;

    /* What the caller ignores or blocks stays so. */
    for (size_t i = 0; i < count; i++)
        if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN &&
            !sigismember(&mask_before, signals[i]))
            sigaddset(wanted, signals[i]);
}

static int catch_signals(void)
{
    sigset_t wanted;
    int fd;

    sigemptyset(&wanted);
    want(&wanted, relayed, sizeof relayed / sizeof *relayed);
    if (in_foreground)
        want(&wanted, stopping, sizeof stopping / sizeof *stopping);
    fd = signalfd(-1, &wanted, SFD_CLOEXEC);
    if (fd < 0 || sigprocmask(SIG_BLOCK, &wanted, NULL) != 0)
        leave_it_to_python();
    return fd;
}

static void relay(int sock, int signals)
{
    struct signalfd_siginfo info;
    char digits[16];

    if (read(signals, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    int length = snprintf(digits, sizeof digits, "%u", info.ssi_signo);
    send_frame(sock, 'S', digits, (size_t)length, NULL, 0);
    if (info.ssi_signo == SIGTSTP)
        raise(SIGSTOP);
}

/* --------------------------------------------------------------------------------------------------- conversation */

static void say(const char *data, size_t length)
{
    while (length) {
        ssize_t written = write(2, data, length);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        data += written;
        length -= (size_t)written;
    }
}

static void hear(int sock)
{
    char *body = NULL;
    size_t length = 0;

    switch (receive_frame(sock, &body, &length)) {
    case 0:
        give_up("zoned's worker was killed");
    case 'W':
        welcome = true;
        break;
    case 'D':
        send_frame(sock, 'D', "", 0, NULL, 0);
        break;
    case 'T':
        say(body, length);
        break;
    case 'X':
        _exit(atoi(body) & 0xff);
    default: /* V: of another version; else what is for clients with terminals */
        give_up("zoned: a frame that was not expected");
    }
    free(body);
}

int main(int argc, char **argv)
{
    const char *verb = NULL;
    const char *run;
    char **rest = NULL;
    int sock, signals;

    (void)argc;
    arguments = argv;
    sigprocmask(SIG_SETMASK, NULL, &mask_before);
    run = argv[0] ? run_root(argv + 1, &verb, &rest) : NULL;
    in_foreground = verb && is_one_of(verb, foreground);
    if (!run || cold || !verb || !is_one_of(verb, warm) || geteuid() != 0 || !streams_are_plain())
        leave_it_to_python();
    if (in_foreground && may_want_terminal(rest))
        leave_it_to_python();
    sock = connected(run);
    if (sock < 0)
        leave_it_to_python();
    signals = catch_signals();
    greet(sock);
    for (;;) {
        struct pollfd polled[] = {{.fd = sock, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

        if (poll(polled, 2, -1) < 0)
            continue; /* EINTR: stopped, and continued */
        if (polled[1].revents)
            relay(sock, signals);
        if (polled[0].revents)
            hear(sock);
    }
}
