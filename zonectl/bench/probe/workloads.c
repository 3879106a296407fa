/* What can be asked for. ../workloads.py says what each is for, and under which names reports have it. */
#include <string.h>

#include "probe.h"

#define KEYS(...) .keys = (const char *const[]){__VA_ARGS__, NULL}

const struct workload workloads[] = {
    {.name = "integer", .run = run_integer},
    {.name = "floating", .run = run_floating},
    {.name = "spin", .run = run_spin, KEYS("extra")},
    {.name = "getpid", .run = run_getpid},
    {.name = "clock", .run = run_clock},
    {.name = "pipe", .run = run_pipe},
    {.name = NULL},
};

const struct workload *find_workload(const char *name)
{
    for (const struct workload *one = workloads; one->name; one++)
        if (strcmp(one->name, name) == 0)
            return one;
    return NULL;
}
