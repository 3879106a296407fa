/* What the worker has written for this process, in a memfd: numbers in this machine's order, and texts with their length. */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "entry.h"

_Static_assert(sizeof(size_t) == 8, "lengths do not overflow");

static char *cursor, *limit;

bool document_ended(void)
{
    return cursor == limit;
}

/* Where the next is taken from. */
const char *document_mark(void)
{
    return cursor;
}

void *take(size_t length)
{
    char *taken = cursor;
    if (length > (size_t)(limit - cursor))
        refuse("ZonectlError", "what the worker has sent is cut off");
    cursor += length;
    return taken;
}

uint32_t take_u32(void)
{
    uint32_t value;
    memcpy(&value, take(sizeof value), sizeof value);
    return value;
}

uint64_t take_u64(void)
{
    uint64_t value;
    memcpy(&value, take(sizeof value), sizeof value);
    return value;
}

char *take_text(void)
{
    uint32_t length = take_u32();
    char *text = take((size_t)length + 1);
    if (text[length] || strlen(text) != length)
        refuse("ZonectlError", "what the worker has sent holds a text that is none");
    return text;
}

/* A text, or NULL where there is none. */
char *take_text_or_null(void)
{
    return take_u32() ? take_text() : NULL;
}

void map_document(int fd)
{
    struct stat found;

    if (fd < 0)
        refuse("ZonectlError", "what the worker was to send did not come");
    if (fstat(fd, &found))
        call_failed("fstat", "of the worker");
    cursor = mmap(NULL, (size_t)found.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (cursor == MAP_FAILED)
        call_failed("mmap", "of the worker");
    limit = cursor + found.st_size;
    close(fd);
    if (take_u32() != MAGIC || take_u32() != FORMAT)
        refuse("ZonectlError", "zonectl-entry is of another version of zonectl: install zonectl anew");
}
