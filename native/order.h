/* The order to execute, and what is done with it before the program is there. */
#ifndef ORDER_H
#define ORDER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

enum { MOST_GROUPS = 64 };

/* The order's flags, as in runtime/entry.py. */
enum {
    NO_NEW_PRIVS = 1 << 0,
    BOUND_TO_PARENT = 1 << 1,
    WATCHED = 1 << 2,
    FILTERED = 1 << 3,
    TO_HOME = 1 << 4,
    VERIFIED_FOLDER = 1 << 5,
    CLOSED_DESCRIPTORS = 1 << 6,
    FILTERED_AT_ONCE = 1 << 7, /* it lets recvmsg(2) and sendmsg(2) pass: the word is heard, a failure said */
};

typedef struct {
    uint32_t count;
    char **items; /* ends with NULL */
} words;

typedef struct {
    uint32_t number, declared;
    uint64_t soft, hard;
    const char *name;
} ceiling;

typedef struct {
    uint32_t flags, umask;
    uint64_t bounding, held, ambient, until_execve;
    uint32_t known_capabilities, uid, gid, group_count;
    gid_t groups[MOST_GROUPS];
    const char *folder, *step, *name;
    uint32_t ceiling_count;
    ceiling ceilings[RLIM_NLIMITS];
    struct sock_fprog filter;
    words argv, env, places;
} order;

/* order.c */

void read_order(order *read, int fd);

/* restrictions.c: what holds for a process of the zone. */

void control(const char *subject, int option, unsigned long second, unsigned long third);
void become(uint32_t uid, uint32_t gid, const gid_t *groups, size_t count);
void restrict_self(const order *given);

#endif
