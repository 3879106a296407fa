/* What the probe's files share. See probe.c for what the whole does, ../runner.py for what it says. */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <time.h>

enum { PROTOCOL_VERSION = 1, MOST_SETTINGS = 16, MOST_LINE_BYTES = 64 << 10, KIB = 1 << 10, MIB = 1 << 20 };

/* One line that was read: what to do, how often, with what. */
struct request {
    uint64_t loops;
    size_t settings;
    struct setting {
        const char *key;
        const char *value;
    } setting[MOST_SETTINGS];
};

/*
 * A workload does `loops` operations and tells how long they took, without what it needed to prepare. It answers NULL,
 * or why it cannot be done here.
 */
struct workload {
    const char *name;
    const char *(*run)(const struct request *request, uint64_t *nanoseconds);
    const char *const *keys; /* of the settings that it knows, NULL last; NULL for none */
    void (*release)(void);   /* what it keeps from one sample to the next; NULL for nothing */
};

/* request.c */
const char *parse_request(char *line, struct request *request, const struct workload **workload);
const char *setting(const struct request *request, const char *key);
const char *percent(const struct request *request, const char *key, double *value);
const char *no(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *failed(const char *call, const char *subject);

/* serve.c */
int serve(int input, int output);

/* workloads.c */
extern const struct workload workloads[];
const struct workload *find_workload(const char *name);

/* cpu.c */
const char *run_integer(const struct request *request, uint64_t *nanoseconds);
const char *run_floating(const struct request *request, uint64_t *nanoseconds);
const char *run_spin(const struct request *request, uint64_t *nanoseconds);
void plant(double percent, uint64_t *nanoseconds);

/* calls.c */
const char *run_getpid(const struct request *request, uint64_t *nanoseconds);
const char *run_clock(const struct request *request, uint64_t *nanoseconds);
const char *run_pipe(const struct request *request, uint64_t *nanoseconds);

/* memory.c */
const char *run_copy(const struct request *request, uint64_t *nanoseconds);
const char *run_chase(const struct request *request, uint64_t *nanoseconds);
const char *run_fault(const struct request *request, uint64_t *nanoseconds);
void release_copy(void);
void release_chase(void);

/* processes.c */
const char *run_exec(const struct request *request, uint64_t *nanoseconds);
const char *run_fork(const struct request *request, uint64_t *nanoseconds);
const char *run_thread(const struct request *request, uint64_t *nanoseconds);
const char *run_switch(const struct request *request, uint64_t *nanoseconds);

/* files.c */
const char *run_create(const struct request *request, uint64_t *nanoseconds);
const char *run_stat(const struct request *request, uint64_t *nanoseconds);
const char *run_open(const struct request *request, uint64_t *nanoseconds);
const char *run_write(const struct request *request, uint64_t *nanoseconds);
const char *run_read(const struct request *request, uint64_t *nanoseconds);
const char *run_pread(const struct request *request, uint64_t *nanoseconds);
const char *run_pwrite(const struct request *request, uint64_t *nanoseconds);
const char *run_sync(const struct request *request, uint64_t *nanoseconds);
void release_data(void);

/* network.c */
const char *run_tcp(const struct request *request, uint64_t *nanoseconds);
const char *run_send(const struct request *request, uint64_t *nanoseconds);
const char *run_receive(const struct request *request, uint64_t *nanoseconds);
const char *run_connect(const struct request *request, uint64_t *nanoseconds);
const char *run_udp(const struct request *request, uint64_t *nanoseconds);
const char *run_iperf(const struct request *request, uint64_t *nanoseconds);

/* spawn.c */
const char *run_spawn(const struct request *request, uint64_t *nanoseconds);

/* machine.c */
int open_device(const char *path);
noreturn void power_off(void);
void become_init(void);

/* Every time the probe takes is taken here: the clock that nobody slews (clock_gettime(2)). */
static inline uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC_RAW, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Numbers that look like chance, and are the same each time (Marsaglia 2003). Never 0, unless they begin so. */
static inline uint64_t xorshift(uint64_t state)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^ state << 17;
}

/* The compiler may not leave out what made the value. */
static inline void consume(uint64_t value)
{
    __asm__ volatile("" : : "r"(value) : "memory");
}

#endif
