/* A new folder for what a program leaves. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <limits.h>

struct scratch {
    int folder; /* -1: there is none */
    char path[PATH_MAX];
};

const char *make_scratch(const char *parent, struct scratch *scratch);
void remove_scratch(struct scratch *scratch);

#endif
