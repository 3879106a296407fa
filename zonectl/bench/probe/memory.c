/*
 * Memory: how fast it is copied, how long one load takes, what a page costs that was never used. Pages are small ones
 * throughout: whether the kernel has huge ones at hand is luck, and a process keeps its luck as long as it lives.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "probe.h"

enum { LINE_BYTES = 64, FAULTED_BYTES = 16 * MIB };

/* Larger than the caches; its use is told in the catalogue. */
static const size_t block_bytes = (size_t)64 * MIB;

static void *map(size_t size)
{
    void *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (block == MAP_FAILED)
        return NULL;
    /* ENOSYS, EINVAL: a kernel without huge pages. */
    (void)madvise(block, size, MADV_NOHUGEPAGE);
    return block;
}

/* ----------------------------------------------------------------------------------------------------- bandwidth */

static char *from;
static char *to;

static bool have_blocks(void)
{
    if (!from && (from = map(block_bytes)))
        memset(from, 1, block_bytes);
    if (!to && (to = map(block_bytes)))
        memset(to, 2, block_bytes);
    return from && to;
}

/* One operation: a MiB copied from one block of 64 MiB to another. */
const char *run_copy(const struct request *request, uint64_t *nanoseconds)
{
    uint64_t begin;

    if (!have_blocks())
        return failed("mmap", "of 128 MiB");
    begin = now();
    for (uint64_t loop = 0; loop < request->loops; loop++) {
        size_t offset = loop * MIB % block_bytes;

        memcpy(to + offset, from + offset, MIB);
        consume((uint64_t)to[offset]);
    }
    *nanoseconds = now() - begin;
    return NULL;
}

void release_copy(void)
{
    if (from)
        munmap(from, block_bytes);
    if (to)
        munmap(to, block_bytes);
    from = to = NULL;
}

/* ------------------------------------------------------------------------------------------------------- latency */

struct line {
    struct line *next;
    char rest[LINE_BYTES - sizeof(struct line *)];
};

static struct line *lines;
static struct line *reached;

/* One cycle through all lines in an order that no prefetcher guesses (Sattolo 1986). The same one each time. */
static void link_lines(size_t count)
{
    uint64_t state = 0x9e3779b97f4a7c15u;

    for (size_t at = 0; at < count; at++)
        lines[at].next = &lines[at];
    for (size_t at = count - 1; at > 0; at--) {
        struct line *next = lines[at].next;
        size_t other;

        state = xorshift(state);
        other = (state >> 32) % at;
        lines[at].next = lines[other].next;
        lines[other].next = next;
    }
}

static bool have_lines(void)
{
    if (lines)
        return true;
    lines = map(block_bytes);
    if (!lines)
        return false;
    link_lines(block_bytes / sizeof *lines);
    reached = lines;
    return true;
}

/* One operation: a load from 64 MiB that says where the next one goes. It goes on where it has ended the last time. */
const char *run_chase(const struct request *request, uint64_t *nanoseconds)
{
    struct line *at;
    uint64_t begin;

    if (!have_lines())
        return failed("mmap", "of 64 MiB");
    at = reached;
    begin = now();
    for (uint64_t loop = 0; loop < request->loops; loop++)
        at = at->next;
    consume((uint64_t)(uintptr_t)at);
    *nanoseconds = now() - begin;
    reached = at;
    return NULL;
}

void release_chase(void)
{
    if (lines)
        munmap(lines, block_bytes);
    lines = NULL;
}

/* ---------------------------------------------------------------------------------------------------- page faults */

static const char *fault(size_t size, size_t page)
{
    char *block = map(size);

    if (!block)
        return failed("mmap", "of 16 MiB");
    for (size_t at = 0; at < size; at += page)
        ((volatile char *)block)[at] = 1;
    munmap(block, size);
    return NULL;
}

/* One operation: a page of new memory touched for the first time. 16 MiB are mapped and unmapped at a time. */
const char *run_fault(const struct request *request, uint64_t *nanoseconds)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint64_t left = request->loops;
    uint64_t begin = now();

    while (left > 0) {
        uint64_t pages = left < FAULTED_BYTES / page ? left : FAULTED_BYTES / page;
        const char *reason = fault(pages * page, page);

        if (reason)
            return reason;
        left -= pages;
    }
    *nanoseconds = now() - begin;
    return NULL;
}
