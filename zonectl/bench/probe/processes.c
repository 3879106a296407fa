/* Processes and threads: how they begin, end, and take turns. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

/* Where this program is, as it was executed; there may be no /proc. */
static const char *own_path(void)
{
    const char *path = (const char *)getauxval(AT_EXECFN);

    return path && path[0] == '/' && access(path, X_OK) == 0 ? path : "/proc/self/exe";
}

/* NULL when the child has ended well. */
static const char *reap(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return failed("waitpid", "");
    return status == 0 ? NULL : no("a child ended with status %#x", (unsigned int)status);
}

/* One operation: fork(2), execve(2) of this program with nothing to do, and waiting for its end. */
const char *run_exec(const struct request *request, uint64_t *nanoseconds)
{
    const char *path = own_path();
    char *const argv[] = {(char *)path, (char *)"true", NULL};
    char *const nothing[] = {NULL};
    uint64_t begin = now();

    for (uint64_t loop = 0; loop < request->loops; loop++) {
        pid_t child = fork();
        const char *reason;

        if (child == 0) {
            execve(path, argv, nothing);
            _exit(1);
        }
        reason = child < 0 ? failed("fork", "") : reap(child);
        if (reason)
            return reason;
    }
    *nanoseconds = now() - begin;
    return NULL;
}

/* One operation: fork(2) and waiting for the child, which ends at once. */
const char *run_fork(const struct request *request, uint64_t *nanoseconds)
{
    uint64_t begin = now();

    for (uint64_t loop = 0; loop < request->loops; loop++) {
        pid_t child = fork();
        const char *reason;

        if (child == 0)
            _exit(0);
        reason = child < 0 ? failed("fork", "") : reap(child);
        if (reason)
            return reason;
    }
    *nanoseconds = now() - begin;
    return NULL;
}

static void *idle(void *nothing)
{
    return nothing;
}

/* One operation: a thread made and joined. */
const char *run_thread(const struct request *request, uint64_t *nanoseconds)
{
    uint64_t begin = now();

    for (uint64_t loop = 0; loop < request->loops; loop++) {
        pthread_t thread;

        errno = pthread_create(&thread, NULL, idle, NULL);
        if (errno)
            return failed("pthread_create", "");
        pthread_join(thread, NULL);
    }
    *nanoseconds = now() - begin;
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ context switch */

enum { READ, WRITE };

/* Until nobody writes to it any more. */
static noreturn void answer_bytes(int input, int output)
{
    char byte;

    while (read(input, &byte, 1) == 1)
        if (write(output, &byte, 1) != 1)
            break;
    _exit(0);
}

static const char *play(int input, int output, uint64_t count, uint64_t *nanoseconds)
{
    char byte = 'z';
    uint64_t begin = now();

    for (uint64_t loop = 0; loop < count; loop++)
        if (write(output, &byte, 1) != 1 || read(input, &byte, 1) != 1)
            return no("the other process has ended");
    *nanoseconds = now() - begin;
    return NULL;
}

static const char *play_with_child(const int forth[2], const int back[2], uint64_t count, uint64_t *nanoseconds)
{
    pid_t child = fork();
    const char *reason;

    if (child == 0) {
        close(forth[WRITE]);
        close(back[READ]);
        answer_bytes(forth[READ], back[WRITE]);
    }
    /* A child that has ended must show as an end. */
    close(forth[READ]);
    close(back[WRITE]);
    reason = child < 0 ? failed("fork", "") : play(back[READ], forth[WRITE], count, nanoseconds);
    close(forth[WRITE]);
    close(back[READ]);
    if (child > 0) {
        const char *ended = reap(child);

        reason = reason ? reason : ended;
    }
    return reason;
}

/* One operation: a byte to another process on the same processor and back: two switches. */
const char *run_switch(const struct request *request, uint64_t *nanoseconds)
{
    cpu_set_t before;
    cpu_set_t one;
    int forth[2];
    int back[2];
    const char *reason;

    if (sched_getaffinity(0, sizeof before, &before))
        return failed("sched_getaffinity", "");
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    /* Where it has but one already, nothing needs to be allowed to change it. */
    if (CPU_COUNT(&before) > 1 && sched_setaffinity(0, sizeof one, &one))
        return failed("sched_setaffinity", "");
    if (pipe(forth))
        return failed("pipe", "");
    if (pipe(back)) {
        close(forth[READ]);
        close(forth[WRITE]);
        return failed("pipe", "");
    }
    reason = play_with_child(forth, back, request->loops, nanoseconds);
    if (CPU_COUNT(&before) > 1)
        sched_setaffinity(0, sizeof before, &before);
    return reason;
}
