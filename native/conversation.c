/* What this process says to the worker, and hears of it: runtime/handshake.py is the other side. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "entry.h"

int channel = -1;
const char *step = "begin";

void say(const char *text, const int *fds, size_t count)
{
    struct iovec data = {.iov_base = (void *)text, .iov_len = strlen(text)};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

    if (count) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    }
    while (sendmsg(channel, &message, MSG_NOSIGNAL) < 0) {
        if (errno == EINTR)
            continue;
        if (!count)
            _exit(NOT_EXECUTED);
        call_failed("sendmsg", "descriptors"); /* too many of this user's are on their way, say */
    }
}

/*
 * `text` as a JSON string, written at `at` and cut off before `end`; where it ends. A byte that is not ASCII becomes what
 * os.fsdecode makes of it.
 */
static char *quoted(char *at, const char *end, const char *text)
{
    *at++ = '"';
    for (; *text && end - at > 8; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte >= 0x80)
            at += sprintf(at, "\\udc%02x", byte);
        else if (byte < 0x20 || byte == '"' || byte == '\\' || byte == 0x7f)
            at += sprintf(at, "\\u%04x", byte);
        else
            *at++ = (char)byte;
    }
    *at++ = '"';
    return at;
}

/* Pairs of a key and a text, ended by NULL; `number` is the errno, 0 for none. */
_Noreturn void fail(const char *kind, int number, ...)
{
    char text[4 * MOST_TEXT], *at = text;
    const char *key, *end = text + sizeof text - 64;
    va_list pairs;

    at += sprintf(at, "{\"word\": \"FAILED\", \"kind\": \"%s\", \"step\": ", kind);
    at = quoted(at, text + MOST_TEXT, step);
    va_start(pairs, number);
    while ((key = va_arg(pairs, const char *))) {
        at += sprintf(at, ", \"%s\": ", key);
        at = quoted(at, end, va_arg(pairs, const char *));
    }
    va_end(pairs);
    if (number)
        at += sprintf(at, ", \"errno\": %d", number);
    strcpy(at, "}");
    say(text, NULL, 0);
    _exit(NOT_EXECUTED);
}

_Noreturn void call_failed(const char *call, const char *subject)
{
    fail("SyscallError", errno, "call", call, "subject", subject, NULL);
}

void check(bool failed, const char *call, const char *subject)
{
    if (failed)
        call_failed(call, subject);
}

_Noreturn void call_failed_about(const char *call, const char *before, const char *between, const char *after)
{
    char subject[MOST_TEXT];
    int number = errno;

    snprintf(subject, sizeof subject, "%.1024s%s%.1024s", before, between, after);
    errno = number;
    call_failed(call, subject);
}

_Noreturn void program_failed(const char *name, int number)
{
    fail("ProgramError", number, "program", name, NULL);
}

_Noreturn void refuse(const char *kind, const char *message)
{
    fail(kind, 0, "message", message, NULL);
}

/*
 * Waits for `word`, and puts the descriptors that came with it into `fds`: how many. The end of the conversation ends this
 * process.
 */
size_t expect_many(const char *word, int *fds, size_t room)
{
    char text[64], wanted[64];
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int))];
    } control;
    struct iovec data = {.iov_base = text, .iov_len = sizeof text};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t length;

    while ((length = recvmsg(channel, &message, MSG_CMSG_CLOEXEC)) < 0)
        if (errno != EINTR)
            _exit(NOT_EXECUTED);
    if (!length)
        _exit(NOT_EXECUTED);
    int expected = snprintf(wanted, sizeof wanted, "{\"word\": \"%s\"}", word);
    if (length != expected || memcmp(text, wanted, (size_t)length))
        refuse("ZonectlError", "the worker says something else than what is expected of it");
    if (message.msg_flags & MSG_CTRUNC)
        refuse("ZonectlError", "descriptors of the worker were lost: too many are open");
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
        return 0;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    if (count > room)
        refuse("ZonectlError", "the worker sends more descriptors than are expected of it");
    memcpy(fds, CMSG_DATA(header), count * sizeof(int));
    return count;
}

/* Waits for `word`; the descriptor that came with it, or -1. */
int expect(const char *word)
{
    int fd;

    return expect_many(word, &fd, 1) ? fd : -1;
}
