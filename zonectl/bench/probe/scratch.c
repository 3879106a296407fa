/* A new folder for what a program leaves; it is removed with all that it holds. */
#include "scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

const char *make_scratch(const char *parent, struct scratch *scratch)
{
    const int length = snprintf(scratch->path, sizeof scratch->path, "%s/zonectl-probe.XXXXXX", parent);

    if ((size_t)length >= sizeof scratch->path)
        return no("the folder's name is too long");
    if (!mkdtemp(scratch->path))
        return failed("mkdir", scratch->path);
    scratch->folder = open(scratch->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (scratch->folder >= 0)
        return NULL;
    rmdir(scratch->path);
    return failed("open", scratch->path);
}

/* Takes the descriptor. Links are removed, not followed. */
static void empty(int folder)
{
    DIR *stream = fdopendir(folder);
    struct dirent *entry;

    if (!stream) {
        close(folder);
        return;
    }
    while ((entry = readdir(stream))) {
        int below;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(stream), entry->d_name, 0) == 0)
            continue;
        below = openat(dirfd(stream), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0)
            empty(below);
        unlinkat(dirfd(stream), entry->d_name, AT_REMOVEDIR);
    }
    closedir(stream);
}

void remove_scratch(struct scratch *scratch)
{
    if (scratch->folder < 0)
        return;
    empty(scratch->folder);
    rmdir(scratch->path);
    scratch->folder = -1;
}
