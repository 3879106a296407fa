/*
 * Paths in a root that is not trusted, each resolved once to a descriptor that never lies outside of it; what is missing
 * is made.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "entry.h"

enum {
    MOST_LINKS = 40,      /* as path_resolution(7) */
    MOST_FOLDERS = 1024,  /* below each other */
    ENTRY = O_PATH | O_NOFOLLOW | O_CLOEXEC,
    /* For what was made a moment ago: nothing that a neighbour could have put in its place leads elsewhere. */
    OF_OURS = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
};

int try_open_below(int folder, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};
    long fd = -1;

    /* EAGAIN is a race with a rename. */
    for (int attempt = 0; attempt < OPENING_ATTEMPTS; attempt++)
        if ((fd = syscall(SYS_openat2, folder, path, &how, sizeof how)) >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    return (int)fd;
}

int open_below(int folder, const char *path, uint64_t flags, uint64_t resolve)
{
    int fd = try_open_below(folder, path, flags, resolve);

    if (fd < 0)
        call_failed("openat2", path);
    return fd;
}

int open_in_root(int root, const char *path, uint64_t flags)
{
    return open_below(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/* ---------------------------------------------------------------------------------------------------- making it */

/* The folders walked through below a root, each of which ".." leads back to. */
typedef struct {
    int root, opened[MOST_FOLDERS];
    size_t count;
} trail;

static int here(const trail *walked)
{
    return walked->count ? walked->opened[walked->count - 1] : walked->root;
}

static void back_to(trail *walked, size_t count)
{
    while (walked->count > count)
        close(walked->opened[--walked->count]);
}

/* `fd` with exactly `mode`, whatever the umask, as an O_PATH descriptor of `name`; `fd` is closed. */
static int finished(int fd, int parent, const char *name, mode_t mode)
{
    int place = -1, number;

    if (!fchmod(fd, mode))
        place = name ? try_open_below(parent, name, O_PATH, OF_OURS) : openat(fd, ".", ENTRY);
    number = errno;
    close(fd);
    errno = number;
    return place;
}

static int make_folder(int parent, const char *name, mode_t mode)
{
    if (mkdirat(parent, name, 0700))
        return -1;
    int fd = try_open_below(parent, name, O_RDONLY | O_DIRECTORY, OF_OURS);
    return fd < 0 ? -1 : finished(fd, -1, NULL, mode);
}

static int make_file(int parent, const char *name, mode_t mode)
{
    int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    return fd < 0 ? -1 : finished(fd, parent, name, mode);
}

static int open_or_make_one(int parent, const char *name, bool folder, mode_t mode)
{
    for (int attempt = 0; attempt < OPENING_ATTEMPTS; attempt++) {
        int fd = openat(parent, name, ENTRY);
        if (fd >= 0 || errno != ENOENT)
            return fd;
        fd = folder ? make_folder(parent, name, mode) : make_file(parent, name, mode);
        if (fd >= 0 || errno != EEXIST) /* somebody else was quicker */
            return fd;
    }
    errno = EAGAIN;
    return -1;
}

/* The next name of `rest` that is neither empty nor ".", which is cut out of it; NULL at the end. */
static char *next_name(char **rest)
{
    for (;;) {
        char *name = *rest + strspn(*rest, "/");
        size_t length = strcspn(name, "/");
        if (!length)
            return NULL;
        *rest = name + length;
        if (**rest)
            *(*rest)++ = 0;
        if (strcmp(name, "."))
            return name;
    }
}

static bool has_more(const char *rest)
{
    for (;;) {
        rest += strspn(rest, "/");
        size_t length = strcspn(rest, "/");
        if (length != 1 || *rest != '.')
            return length;
        rest += length;
    }
}

/* What is left to walk when the link of `fd` is followed; false where that is too long. `fd` is closed. */
static bool follow(int fd, char *left, size_t room, const char *rest)
{
    char target[PATH_MAX], more[PATH_MAX];
    ssize_t length = readlinkat(fd, "", target, sizeof target);
    int number = errno;

    close(fd);
    errno = number;
    if (length < 0)
        return false;
    size_t behind = strlen(rest);
    errno = ENAMETOOLONG;
    if (length == sizeof target || behind >= sizeof more || (size_t)length + 1 + behind >= room)
        return false;
    memcpy(more, rest, behind + 1);
    memcpy(left, target, (size_t)length);
    left[length] = '/';
    memcpy(left + length + 1, more, behind + 1);
    return true;
}

/* Goes from descriptor to descriptor, making what is missing; no text is resolved twice, so that no race leads out. */
static int walk(trail *walked, const char *path, bool folder, mode_t mode)
{
    char left[2 * PATH_MAX], *rest = left, *name;
    int links = 0;

    if (strlen(path) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(left, path);
    while ((name = next_name(&rest))) {
        struct stat found;
        if (!strcmp(name, "..")) {
            back_to(walked, walked->count ? walked->count - 1 : 0);
            continue;
        }
        bool last = !has_more(rest);
        int fd = open_or_make_one(here(walked), name, !last || folder, last ? mode : 0755);
        if (fd < 0)
            return -1;
        if (walked->count == MOST_FOLDERS) {
            close(fd);
            errno = ENAMETOOLONG;
            return -1;
        }
        if (fstat(fd, &found)) {
            close(fd);
            errno = EIO; /* of an open descriptor: it does not happen */
            return -1;
        }
        if (!S_ISLNK(found.st_mode)) {
            walked->opened[walked->count++] = fd;
            continue;
        }
        if (++links > MOST_LINKS) {
            close(fd);
            errno = ELOOP;
            return -1;
        }
        if (!follow(fd, left, sizeof left, rest))
            return -1;
        rest = left;
        if (*left == '/')
            back_to(walked, 0);
    }
    if (walked->count)
        return walked->opened[--walked->count];
    return openat(walked->root, ".", ENTRY);
}

/* An O_PATH descriptor of `path` inside the root, made with its parents where missing; -1 with `call` that failed. */
static int open_or_make(int root, const char *path, bool folder, mode_t mode, const char **call)
{
    static trail walked;
    struct stat found;

    *call = "openat2";
    int fd = try_open_below(root, *path ? path : "/", O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    if (fd < 0) {
        if (errno != ENOENT)
            return -1;
        *call = "openat";
        walked.root = root;
        fd = walk(&walked, path, folder, mode);
        int number = errno;
        back_to(&walked, 0);
        errno = number;
        if (fd < 0)
            return -1;
    }
    if (!fstat(fd, &found) && S_ISDIR(found.st_mode) == folder)
        return fd;
    close(fd);
    *call = "openat2";
    errno = folder ? ENOTDIR : EISDIR;
    return -1;
}

int try_place_file(int root, const char *path, mode_t mode, const char **call)
{
    return open_or_make(root, path, false, mode, call);
}

/* Where a file system of the kernel's goes: a link would have it cover another one, or show up elsewhere. */
static int plain_folder(int root, const char *path)
{
    char message[MOST_TEXT];
    const char *call = "openat2";
    uint64_t resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
    int fd = try_open_below(root, path, O_PATH | O_DIRECTORY, resolve);

    if (fd < 0 && errno == ENOENT) {
        if ((fd = open_or_make(root, path, true, 0755, &call)) >= 0) {
            close(fd);
            call = "openat2";
            fd = try_open_below(root, path, O_PATH | O_DIRECTORY, resolve);
        }
    }
    if (fd >= 0)
        return fd;
    if (errno != ELOOP)
        call_failed(call, path);
    snprintf(message, sizeof message, "%.1024s of the root leads through a link", path);
    refuse("ZonectlError", message);
}

int place_folder(int root, const char *path, bool plain)
{
    char message[MOST_TEXT];
    const char *call;
    struct stat found, top;

    if (plain)
        return plain_folder(root, path);
    int fd = open_or_make(root, path, true, 0755, &call);
    if (fd < 0)
        call_failed(call, path);
    if (fstat(fd, &found) || fstat(root, &top))
        call_failed("fstat", path);
    if (found.st_dev != top.st_dev || found.st_ino != top.st_ino)
        return fd;
    snprintf(message, sizeof message, "%.1024s of the root leads to the root itself", path);
    refuse("ZonectlError", message);
}
