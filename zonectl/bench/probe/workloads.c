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
    {.name = "copy", .run = run_copy, .release = release_copy},
    {.name = "chase", .run = run_chase, .release = release_chase},
    {.name = "fault", .run = run_fault},
    {.name = "exec", .run = run_exec},
    {.name = "fork", .run = run_fork},
    {.name = "thread", .run = run_thread},
    {.name = "switch", .run = run_switch},
    {.name = "create", .run = run_create, KEYS("folder")},
    {.name = "stat", .run = run_stat, KEYS("folder")},
    {.name = "open", .run = run_open, KEYS("folder")},
    {.name = "write", .run = run_write, KEYS("folder"), .release = release_data},
    {.name = "read", .run = run_read, KEYS("folder"), .release = release_data},
    {.name = "pread", .run = run_pread, KEYS("folder"), .release = release_data},
    {.name = "pwrite", .run = run_pwrite, KEYS("folder"), .release = release_data},
    {.name = "sync", .run = run_sync, KEYS("folder"), .release = release_data},
    {.name = "tcp", .run = run_tcp, KEYS("server")},
    {.name = "send", .run = run_send, KEYS("server")},
    {.name = "receive", .run = run_receive, KEYS("server")},
    {.name = "connect", .run = run_connect, KEYS("server")},
    {.name = "udp", .run = run_udp, KEYS("server")},
    {.name = "iperf", .run = run_iperf, KEYS("server")},
    {.name = "spawn", .run = run_spawn, KEYS("argv", "stdin", "folder")},
    {.name = NULL},
};

const struct workload *find_workload(const char *name)
{
    for (const struct workload *one = workloads; one->name; one++)
        if (strcmp(one->name, name) == 0)
            return one;
    return NULL;
}
