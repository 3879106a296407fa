/* What needs nothing of the kernel: a processor is a processor, and no wall should slow it down. */
#include <math.h>
#include <string.h>

#include "probe.h"

enum { WORDS = 64, BODIES = 5, TURNS = 1000, CALIBRATIONS = 8 };

/* ------------------------------------------------------------------------------------------------------- integer */

static uint32_t crc_table[256];

/* CRC-32 as in ISO 3309, a byte at a time. */
static void make_crc_table(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;

        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
        crc_table[byte] = crc;
    }
}

static uint32_t crc(const uint32_t *words, size_t count)
{
    const unsigned char *bytes = (const unsigned char *)words;
    uint32_t value = ~0u;

    for (size_t at = 0; at < count * sizeof *words; at++)
        value = crc_table[(value ^ bytes[at]) & 0xff] ^ value >> 8;
    return ~value;
}

static void sort(uint32_t *words, size_t count)
{
    for (size_t at = 1; at < count; at++) {
        uint32_t word = words[at];
        size_t to = at;

        for (; to > 0 && words[to - 1] > word; to--)
            words[to] = words[to - 1];
        words[to] = word;
    }
}

/* One operation: 64 words are drawn, sorted and summed up. It begins with the same ones each time. */
const char *run_integer(const struct request *request, uint64_t *nanoseconds)
{
    uint64_t state = 0x9e3779b97f4a7c15u;
    uint32_t words[WORDS];
    uint64_t begin;

    make_crc_table();
    begin = now();
    for (uint64_t loop = 0; loop < request->loops; loop++) {
        for (size_t at = 0; at < WORDS; at++) {
            state = xorshift(state);
            words[at] = (uint32_t)(state >> 32);
        }
        sort(words, WORDS);
        state += crc(words, WORDS);
    }
    consume(state);
    *nanoseconds = now() - begin;
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ floating point */

struct body {
    double position[3];
    double velocity[3];
    double mass;
};

/* A sun and planets of a system that was made up; what counts is that it stays together. */
static void place(struct body *bodies)
{
    memset(bodies, 0, BODIES * sizeof *bodies);
    bodies[0].mass = 40;
    for (int at = 1; at < BODIES; at++) {
        double distance = 3.0 * at;

        bodies[at].mass = 0.01 * at;
        bodies[at].position[at % 2] = distance;
        bodies[at].velocity[1 - at % 2] = (at % 2 ? 1 : -1) * sqrt(bodies[0].mass / distance);
        bodies[at].velocity[2] = 0.1 * at;
    }
}

static void attract(struct body *one, struct body *other, double step)
{
    double apart[3];
    double square = 0;
    double force;

    for (int axis = 0; axis < 3; axis++) {
        apart[axis] = one->position[axis] - other->position[axis];
        square += apart[axis] * apart[axis];
    }
    force = step / (square * sqrt(square));
    for (int axis = 0; axis < 3; axis++) {
        one->velocity[axis] -= apart[axis] * other->mass * force;
        other->velocity[axis] += apart[axis] * one->mass * force;
    }
}

static void advance(struct body *bodies, double step)
{
    for (int at = 0; at < BODIES; at++)
        for (int other = at + 1; other < BODIES; other++)
            attract(&bodies[at], &bodies[other], step);
    for (int at = 0; at < BODIES; at++)
        for (int axis = 0; axis < 3; axis++)
            bodies[at].position[axis] += step * bodies[at].velocity[axis];
}

/* One operation: five bodies attract each other for one step of time. It begins at the same place each time. */
const char *run_floating(const struct request *request, uint64_t *nanoseconds)
{
    struct body bodies[BODIES];
    uint64_t bits;
    uint64_t begin;

    place(bodies);
    begin = now();
    for (uint64_t loop = 0; loop < request->loops; loop++)
        advance(bodies, 0.001);
    memcpy(&bits, &bodies[1].position[0], sizeof bits);
    consume(bits);
    *nanoseconds = now() - begin;
    return NULL;
}

/* ---------------------------------------------------------------------------------------------------------- spin */

/* Turns of a loop that cannot be shortened, each needing the one before; how long they took. */
static uint64_t turn(uint64_t turns)
{
    uint64_t state = 0x9e3779b97f4a7c15u;
    uint64_t begin = now();

    for (uint64_t at = 0; at < turns; at++)
        state = xorshift(state);
    consume(state);
    return now() - begin;
}

/* One operation: a thousand turns; `extra` percent more for a loss that was planted. */
const char *run_spin(const struct request *request, uint64_t *nanoseconds)
{
    double extra;
    const char *reason = percent(request, "extra", &extra);

    if (reason)
        return reason;
    *nanoseconds = turn((uint64_t)((double)request->loops * TURNS * (1 + extra / 100)));
    return NULL;
}

/* The fastest of some tries: what slows a try down is not the loop's. */
static double turns_each_nanosecond(void)
{
    static double speed;

    if (speed > 0)
        return speed;
    for (int at = 0; at < CALIBRATIONS; at++) {
        double tried = TURNS * 100.0 / (double)(turn(TURNS * 100) + 1);

        speed = tried > speed ? tried : speed;
    }
    return speed;
}

/* A loss to be found: as much work more as takes that percentage of the time the workload took. */
void plant(double percent, uint64_t *nanoseconds)
{
    if (percent > 0)
        *nanoseconds += turn((uint64_t)((double)*nanoseconds * percent / 100 * turns_each_nanosecond()));
}
