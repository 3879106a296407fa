/* Programs of the arm's root, run to their end. */
#ifndef SPAWN_H
#define SPAWN_H

#include <stdint.h>

enum { MOST_ARGUMENTS = 64 };

struct program {
    char *argv[MOST_ARGUMENTS + 1];
    int input;
    int output;
};

/* The files in memory that are the program's streams; NULL, or why there are none. To be closed in any case. */
const char *open_streams(struct program *program, const char *input, size_t length);
void close_streams(const struct program *program);

/* As often, in the folder of that descriptor, or here for -1. */
const char *run_all(const struct program *program, int folder, uint64_t count, uint64_t *nanoseconds);

#endif
