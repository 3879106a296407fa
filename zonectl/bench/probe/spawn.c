/*
 * Programs of the arm's root, run to their end: what people really do, and other benchmarks as witnesses. They get an
 * environment of the probe's making, an empty folder of their own, and files in memory for their streams.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"
#include "scratch.h"
#include "spawn.h"

enum { SAID_BYTES = 4 * KIB };

/* ------------------------------------------------------------------------------------------------------- request */

static int digit(char character)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *found = character ? strchr(digits, character) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* Every %XX becomes its byte, in place (RFC 3986, section 2.1); the length, or -1. */
static ssize_t decode(char *text)
{
    char *to = text;

    for (const char *at = text; *at; at++) {
        if (*at != '%') {
            *to++ = *at;
            continue;
        }
        if (digit(at[1]) < 0 || digit(at[2]) < 0)
            return -1;
        *to++ = (char)(digit(at[1]) << 4 | digit(at[2]));
        at += 2;
    }
    *to = '\0';
    return to - text;
}

/* Arguments are separated by commas; one that holds a comma has it encoded. */
static const char *parse_argv(char *text, char **argv)
{
    size_t count = 0;

    for (char *word; (word = strsep(&text, ","));) {
        if (count == MOST_ARGUMENTS)
            return no("more than %d arguments", MOST_ARGUMENTS);
        if (decode(word) < 0)
            return no("not an encoded argument: \"%.64s\"", word);
        argv[count++] = word;
    }
    argv[count] = NULL;
    return argv[0][0] == '/' ? NULL : no("the program must be an absolute path, not \"%.64s\"", argv[0]);
}

const char *open_streams(struct program *program, const char *input, size_t length)
{
    program->input = memfd_create("input", MFD_CLOEXEC);
    program->output = memfd_create("output", MFD_CLOEXEC);
    if (program->input < 0 || program->output < 0)
        return failed("memfd_create", "");
    return write(program->input, input, length) == (ssize_t)length ? NULL : failed("write", "input");
}

void close_streams(const struct program *program)
{
    if (program->input >= 0)
        close(program->input);
    if (program->output >= 0)
        close(program->output);
}

/* ----------------------------------------------------------------------------------------------------------- run */

/* In a child that has its parent's memory; an errno comes back in it. */
static noreturn void become(const struct program *program, int folder, volatile int *error)
{
    static char *const environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                        "HOME=.", "TMPDIR=.", "LC_ALL=C.UTF-8", NULL};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    if (dup2(program->input, 0) >= 0 && dup2(program->output, 1) >= 0 && dup2(program->output, 2) >= 0 &&
        (folder < 0 || fchdir(folder) == 0))
        execve(program->argv[0], program->argv, environment);
    *error = errno;
    _exit(127);
}

/* The last line of what the program said. It is written over. */
static const char *last_words(int output)
{
    static char said[SAID_BYTES];
    off_t end = lseek(output, 0, SEEK_END);
    off_t begin = end > SAID_BYTES - 1 ? end - (SAID_BYTES - 1) : 0;
    ssize_t got = pread(output, said, SAID_BYTES - 1, begin);
    char *line;

    while (got > 0 && (said[got - 1] == '\n' || said[got - 1] == ' '))
        got--;
    said[got > 0 ? got : 0] = '\0';
    line = strrchr(said, '\n');
    return line ? line + 1 : said;
}

static const char *ended(const struct program *program, int status)
{
    if (status == 0)
        return NULL;
    if (WIFSIGNALED(status))
        return no("%s was killed by signal %d", program->argv[0], WTERMSIG(status));
    return no("%s ended with status %d: %s", program->argv[0], WEXITSTATUS(status), last_words(program->output));
}

/* vfork(2): a copy of the probe's tables is no part of the work, and the child shows why it could not execute. */
static const char *run_once(const struct program *program, int folder)
{
    volatile int error = 0;
    int status = 0;
    pid_t child;

    lseek(program->input, 0, SEEK_SET);
    if (lseek(program->output, 0, SEEK_SET) || ftruncate(program->output, 0))
        return failed("ftruncate", "");
    child = vfork();
    if (child == 0)
        become(program, folder, &error);
    if (child < 0)
        return failed("vfork", "");
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return failed("waitpid", "");
    errno = error;
    return error ? failed("execve", program->argv[0]) : ended(program, status);
}

const char *run_all(const struct program *program, int folder, uint64_t count, uint64_t *nanoseconds)
{
    uint64_t begin = now();

    for (uint64_t loop = 0; loop < count; loop++) {
        const char *reason = run_once(program, folder);

        if (reason)
            return reason;
    }
    *nanoseconds = now() - begin;
    return NULL;
}

static const char *prepare(const struct request *request, struct program *program, struct scratch *scratch)
{
    char *argv = (char *)setting(request, "argv");
    char *input = (char *)setting(request, "stdin");
    const char *reason = argv ? parse_argv(argv, program->argv) : no("a program must be told");
    ssize_t length = input ? decode(input) : 0;

    if (reason)
        return reason;
    if (length < 0)
        return no("the input is not encoded");
    reason = open_streams(program, input, (size_t)length);
    if (reason || !setting(request, "folder"))
        return reason;
    return make_scratch(setting(request, "folder"), scratch);
}

/* One operation: the program run to its end, which must be a good one. */
const char *run_spawn(const struct request *request, uint64_t *nanoseconds)
{
    struct program program = {.input = -1, .output = -1};
    struct scratch scratch = {.folder = -1};
    const char *reason = prepare(request, &program, &scratch);

    if (!reason)
        reason = run_all(&program, scratch.folder, request->loops, nanoseconds);
    remove_scratch(&scratch);
    close_streams(&program);
    return reason;
}
