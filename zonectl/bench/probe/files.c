/*
 * Files, in a folder that is told. What is measured is named below an open descriptor of the folder: how deep the
 * folder lies is an accident of the arm.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe.h"

enum { FILE_MIB = 16, PAGE_BYTES = 4 * KIB };

static const char name[] = "zonectl-probe";

static const char *open_folder(const struct request *request, int *folder)
{
    const char *path = setting(request, "folder");

    if (!path)
        return no("a folder must be told");
    *folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *folder < 0 ? failed("open", path) : NULL;
}

/* --------------------------------------------------------------------------------------------------------- names */

static const char *create(int folder)
{
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (file < 0)
        return failed("openat", name);
    close(file);
    return NULL;
}

static const char *create_and_unlink(int folder)
{
    const char *reason = create(folder);

    if (reason)
        return reason;
    return unlinkat(folder, name, 0) ? failed("unlinkat", name) : NULL;
}

static const char *look_at(int folder)
{
    struct stat found;

    if (fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW))
        return failed("fstatat", name);
    consume(found.st_ino);
    return NULL;
}

static const char *open_and_close(int folder)
{
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC);

    if (file < 0)
        return failed("openat", name);
    close(file);
    return NULL;
}

static const char *repeat(const char *(*operation)(int folder), int folder, uint64_t loops, uint64_t *nanoseconds)
{
    uint64_t begin = now();

    for (uint64_t loop = 0; loop < loops; loop++) {
        const char *reason = operation(folder);

        if (reason)
            return reason;
    }
    *nanoseconds = now() - begin;
    return NULL;
}

/* One operation: an empty file made, closed and removed. */
const char *run_create(const struct request *request, uint64_t *nanoseconds)
{
    int folder;
    const char *reason = open_folder(request, &folder);

    if (reason)
        return reason;
    reason = repeat(create_and_unlink, folder, request->loops, nanoseconds);
    close(folder);
    return reason;
}

static const char *with_a_file(const struct request *request, const char *(*operation)(int folder),
                               uint64_t *nanoseconds)
{
    int folder;
    const char *reason = open_folder(request, &folder);

    if (reason)
        return reason;
    reason = create(folder);
    if (!reason) {
        reason = repeat(operation, folder, request->loops, nanoseconds);
        unlinkat(folder, name, 0);
    }
    close(folder);
    return reason;
}

/* One operation: fstatat(2) of a file. */
const char *run_stat(const struct request *request, uint64_t *nanoseconds)
{
    return with_a_file(request, look_at, nanoseconds);
}

/* One operation: a file opened for reading, and closed. */
const char *run_open(const struct request *request, uint64_t *nanoseconds)
{
    return with_a_file(request, open_and_close, nanoseconds);
}

/* ---------------------------------------------------------------------------------------------------------- data */

/* A file of 16 MiB without a name, in the folder: the kernel removes it with its descriptor. */
static int data = -1;
static char *data_folder;
static char buffer[MIB];
static uint64_t place;

void release_data(void)
{
    if (data >= 0)
        close(data);
    free(data_folder);
    data = -1;
    data_folder = NULL;
}

static const char *sync_data(void)
{
    return fsync(data) ? failed("fsync", "") : NULL;
}

static const char *fill_data(void)
{
    memset(buffer, 'z', sizeof buffer);
    for (int at = 0; at < FILE_MIB; at++)
        if (pwrite(data, buffer, MIB, (off_t)at * MIB) != MIB)
            return failed("pwrite", "");
    return sync_data();
}

static const char *make_data(const char *folder)
{
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof path, "%s/%s.XXXXXX", folder, name) >= sizeof path)
        return no("the folder's name is too long");
    data = mkostemp(path, O_CLOEXEC);
    if (data < 0)
        return failed("open", path);
    if (unlink(path))
        return failed("unlink", path);
    data_folder = strdup(folder);
    return fill_data();
}

/* The file is kept for the next sample, with what the page cache has of it. */
static const char *have_data(const struct request *request)
{
    const char *folder = setting(request, "folder");
    const char *reason;

    if (!folder)
        return no("a folder must be told");
    if (data_folder && strcmp(data_folder, folder) == 0)
        return NULL;
    release_data();
    reason = make_data(folder);
    if (reason)
        release_data();
    return reason;
}

/* Somewhere in the file; the same places in the same order each time. */
static off_t somewhere(void)
{
    place = xorshift(place);
    return (off_t)((place >> 32) % (FILE_MIB * MIB / PAGE_BYTES)) * PAGE_BYTES;
}

static off_t in_turn(uint64_t loop)
{
    return (off_t)(loop % FILE_MIB) * MIB;
}

static const char *write_next(uint64_t loop)
{
    return pwrite(data, buffer, MIB, in_turn(loop)) == MIB ? NULL : failed("pwrite", "");
}

static const char *read_next(uint64_t loop)
{
    return pread(data, buffer, MIB, in_turn(loop)) == MIB ? NULL : failed("pread", "");
}

static const char *read_page(uint64_t loop)
{
    (void)loop;
    return pread(data, buffer, PAGE_BYTES, somewhere()) == PAGE_BYTES ? NULL : failed("pread", "");
}

static const char *write_page(uint64_t loop)
{
    (void)loop;
    return pwrite(data, buffer, PAGE_BYTES, somewhere()) == PAGE_BYTES ? NULL : failed("pwrite", "");
}

static const char *sync_page(uint64_t loop)
{
    const char *reason = write_page(loop);

    return reason ? reason : sync_data();
}

/* The operation on the file as often as is asked for, and what is to be done in the end, if anything. */
static const char *work_on_data(const struct request *request, const char *(*operation)(uint64_t loop),
                                const char *(*finish)(void), uint64_t *nanoseconds)
{
    const char *reason = have_data(request);
    uint64_t begin;

    place = 0x9e3779b97f4a7c15u;
    begin = now();
    for (uint64_t loop = 0; !reason && loop < request->loops; loop++)
        reason = operation(loop);
    if (!reason && finish)
        reason = finish();
    *nanoseconds = now() - begin;
    return reason;
}

/* One operation: a MiB of a file of 16 MiB written over, from its begin to its end and again; one fsync(2) a sample. */
const char *run_write(const struct request *request, uint64_t *nanoseconds)
{
    return work_on_data(request, write_next, sync_data, nanoseconds);
}

/* One operation: a MiB of a file of 16 MiB read from the page cache, from its begin to its end and again. */
const char *run_read(const struct request *request, uint64_t *nanoseconds)
{
    return work_on_data(request, read_next, NULL, nanoseconds);
}

/* One operation: 4 KiB read from the page cache, somewhere in a file of 16 MiB. */
const char *run_pread(const struct request *request, uint64_t *nanoseconds)
{
    return work_on_data(request, read_page, NULL, nanoseconds);
}

/* One operation: 4 KiB written to the page cache, somewhere in a file of 16 MiB. Nothing is synced. */
const char *run_pwrite(const struct request *request, uint64_t *nanoseconds)
{
    return work_on_data(request, write_page, NULL, nanoseconds);
}

/* One operation: 4 KiB written somewhere in a file of 16 MiB, and fsync(2). */
const char *run_sync(const struct request *request, uint64_t *nanoseconds)
{
    return work_on_data(request, sync_page, NULL, nanoseconds);
}
