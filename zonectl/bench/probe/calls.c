/* System calls that do next to nothing: what is measured is the way into the kernel and back. */
#include <sys/syscall.h>
#include <unistd.h>

#include "probe.h"

/* One operation: getpid(2), past the C library. */
const char *run_getpid(const struct request *request, uint64_t *nanoseconds)
{
    uint64_t begin = now();

    for (uint64_t loop = 0; loop < request->loops; loop++)
        consume((uint64_t)syscall(SYS_getpid));
    *nanoseconds = now() - begin;
    return NULL;
}

/* One operation: the time, which the kernel tells without being called (vdso(7)). */
const char *run_clock(const struct request *request, uint64_t *nanoseconds)
{
    struct timespec time;
    uint64_t begin = now();

    for (uint64_t loop = 0; loop < request->loops; loop++) {
        clock_gettime(CLOCK_MONOTONIC, &time);
        consume((uint64_t)time.tv_nsec);
    }
    *nanoseconds = now() - begin;
    return NULL;
}

static const char *pass_bytes(const int ends[2], uint64_t count, uint64_t *nanoseconds)
{
    uint64_t begin = now();
    char byte = 'z';

    for (uint64_t loop = 0; loop < count; loop++) {
        if (write(ends[1], &byte, 1) != 1)
            return failed("write", "pipe");
        if (read(ends[0], &byte, 1) != 1)
            return failed("read", "pipe");
    }
    *nanoseconds = now() - begin;
    return NULL;
}

/* One operation: a byte written to a pipe and read from it again, by one process. */
const char *run_pipe(const struct request *request, uint64_t *nanoseconds)
{
    int ends[2];
    const char *reason;

    if (pipe(ends))
        return failed("pipe", "");
    reason = pass_bytes(ends, request->loops, nanoseconds);
    close(ends[0]);
    close(ends[1]);
    return reason;
}
