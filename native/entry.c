/*
 * zonectl-entry: what a zone's init and an exec's process are until they are the zone's program.
 *
 *     zonectl-entry init NAMESPACES OWNER CHANNEL PIDS GROUP DOOR REAPER STREAMS ROWS COLUMNS
 *     zonectl-entry exec NAMESPACES GROUP STREAMS ROWS COLUMNS
 *
 * Only zonectl/runtime/entry.py starts it and knows what the arguments and the order are; who says what and when is drawn
 * in runtime/handshake.py and runtime/exec.py. It is in C because a fork of the interpreter copies hundreds of pages, and
 * its execve gives all of its memory up: several milliseconds of each start and exec.
 *
 * `restrict_self` (restrictions.c) applies a zone's restrictions, to init and to each exec alike. What cannot be applied
 * ends the process, and the worker hears which call failed. Nothing here asks for memory but to map what the worker has
 * written and the note of pids, or reads a file of the zone's. What the worker has written is checked for its lengths all
 * the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "entry.h"
#include "order.h"

enum { LAST_SIGNAL = 64 };

/* Descriptors that an exec is born with, and the first that is another. */
enum { CHANNEL = 3, INIT = 4, PIDS = 5, GROUP = 6, FIRST_OTHER = 7 };

/* ---------------------------------------------------------------------------------------------------- the program */

/*
 * The parent may have ended before PR_SET_PDEATHSIG, with all said that there was to say: then the channel has ended, too.
 * Asked by recvmsg(2), which the filter lets pass where it is loaded by now.
 */
static void see_parent(const char *name)
{
    char text;
    struct iovec data = {.iov_base = &text, .iov_len = sizeof text};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

    if (recvmsg(channel, &message, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN)
        program_failed(name, ECANCELED);
}

/* An ignored signal would stay so over every execve. By number: the C library hides 32 and 33. */
static void reset_signals(void)
{
    uint64_t usual[4] = {0}, none = 0;

    for (int number = 1; number <= LAST_SIGNAL; number++)
        if (number != SIGKILL && number != SIGSTOP && syscall(SYS_rt_sigaction, number, usual, NULL, sizeof none))
            call_failed("rt_sigaction", "");
    if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none))
        call_failed("rt_sigprocmask", "");
}

/* Have every later call wait for the process that traces this one by now; without one it would fail with ENOSYS. */
static void be_watched(void)
{
    static struct sock_filter every_call[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE)};
    struct sock_fprog filter = {.len = 1, .filter = every_call};

    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter))
        call_failed("seccomp", "SECCOMP_SET_MODE_FILTER");
}

/*
 * Without flags: TSYNC is for processes with threads. SPEC_ALLOW would waive the mitigation of Speculative Store Bypass
 * where the administrator has asked for it in processes with a filter (spec_store_bypass_disable=seccomp, the default
 * before Linux 5.16): what runs here is what it is meant for. LOG would let a zone write to the host's audit log.
 */
static void load_filter(const order *given)
{
    if (given->flags & FILTERED && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &given->filter))
        call_failed("seccomp", "SECCOMP_SET_MODE_FILTER");
}

/* Whether `execute_program` would find a program, as this user. */
static void find_program(const order *given)
{
    bool denied = false;

    for (uint32_t i = 0; i < given->places.count; i++) {
        struct stat found;
        const char *place = given->places.items[i];
        if (stat(place, &found)) {
            denied = denied || errno == EACCES;
            continue;
        }
        if (S_ISREG(found.st_mode) && !faccessat(AT_FDCWD, place, X_OK, AT_EACCESS))
            return;
        denied = true;
    }
    program_failed(given->name, denied ? EACCES : ENOENT);
}

static _Noreturn void execute_program(const order *given)
{
    bool denied = false;

    for (uint32_t i = 0; i < given->places.count; i++) {
        execve(given->places.items[i], given->argv.items, given->env.items);
        if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
            program_failed(given->name, errno);
        denied = denied || errno == EACCES;
    }
    program_failed(given->name, denied ? EACCES : ENOENT);
}

/*
 * `reaper` is a descriptor of a static catatonit, or -1. All is done before the word to execute, while the worker notes
 * that the zone runs. The filter comes last: it may refuse every other call, and then has to wait for the word.
 */
static _Noreturn void execute(const order *given, int reaper)
{
    /* After the change of ids, which clears it (prctl(2)). */
    if (given->flags & BOUND_TO_PARENT)
        control("PR_SET_PDEATHSIG", PR_SET_PDEATHSIG, SIGKILL, 0);
    if (reaper >= 0)
        find_program(given); /* the reaper would find out only when the start has said that all is well */
    reset_signals();
    if (given->flags & CLOSED_DESCRIPTORS && syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC))
        call_failed("close_range", "");
    if (given->flags & FILTERED_AT_ONCE)
        load_filter(given);
    expect("EXEC");
    if (given->flags & BOUND_TO_PARENT)
        see_parent(given->name);
    if (given->flags & WATCHED)
        be_watched();
    if (!(given->flags & FILTERED_AT_ONCE))
        load_filter(given);
    step = "execute";
    if (reaper < 0)
        execute_program(given);
    syscall(SYS_execveat, reaper, "", given->argv.items, given->env.items, AT_EMPTY_PATH);
    call_failed("execveat", "catatonit");
}

/* Talk to whoever comes from here on. */
static void answer_door(int door)
{
    close(channel);
    while ((channel = accept4(door, NULL, NULL, SOCK_CLOEXEC)) < 0)
        if (errno != EINTR && errno != ECONNABORTED)
            _exit(NOT_EXECUTED);
    close(door);
}

/* From where this process is in the zone, with its root. `door` is a listening socket, or -1. */
static _Noreturn void become_program(
    unsigned streams, unsigned short rows, unsigned short columns, int door, int reaper)
{
    static order given;

    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        call_failed("open", "/");
    int master = take_streams(root, streams, rows, columns);
    const int said[] = {root, master};
    say("{\"word\": \"READY\"}", said, master < 0 ? 1 : 2);
    close(root);
    if (master >= 0)
        close(master);
    read_order(&given, expect("ORDER"));
    if (door >= 0) {
        /* Until it is written down that this is parked, it ends with the worker. */
        expect("PARKED");
        answer_door(door);
    }
    step = given.step;
    if (master >= 0 && fchown(0, given.uid, (gid_t)-1))
        call_failed("fchown", "terminal");
    restrict_self(&given);
    execute(&given, reaper);
}

/* -------------------------------------------------------------------------------------------------------- processes */

/* The pid of the new process, 0 in it. The worker reads it at `noted`, whoever of us is killed meanwhile. */
static long fork_sibling(uint64_t flags, int group, pid_t *noted)
{
    /* Where the page cannot be had, in a group without memory, it is this process that ends, before there is another. */
    *(volatile pid_t *)noted = 0;
    struct clone_args arguments = {
        .flags = flags | CLONE_PARENT | CLONE_PARENT_SETTID,
        .parent_tid = (uint64_t)(uintptr_t)noted,
        .cgroup = flags & CLONE_INTO_CGROUP ? (uint64_t)group : 0,
    };
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid < 0) {
        char subject[32];
        int number = errno;
        snprintf(subject, sizeof subject, "flags %#llx", (unsigned long long)flags);
        errno = number;
        call_failed("clone3", subject);
    }
    return pid;
}

static void begin_keyring(void)
{
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) < 0 && errno != ENOSYS)
        call_failed("keyctl", "KEYCTL_JOIN_SESSION_KEYRING");
}

/* Closes what is behind the streams but the `kept`, of which one that is negative is none. */
static void close_others(const int *kept, size_t count)
{
    for (unsigned next = 3;;) {
        unsigned nearest = INT_MAX;
        for (size_t i = 0; i < count; i++)
            if (kept[i] >= (int)next && (unsigned)kept[i] < nearest)
                nearest = (unsigned)kept[i];
        if (nearest > next && syscall(SYS_close_range, next, nearest == INT_MAX ? ~0U : nearest - 1, 0))
            call_failed("close_range", "");
        if (nearest == INT_MAX)
            return;
        next = nearest + 1;
    }
}

/* ----------------------------------------------------------------------------------------------------------- init */

/*
 * Be the user `owner`, and still have all capabilities: root's real and saved id keep them permitted. A user namespace that
 * is made meanwhile belongs to that user, whom the kernel charges for what is used in it (user_namespaces(7)).
 */
static void be_owner(uid_t owner)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];

    if (syscall(SYS_setresuid, -1, owner, -1))
        call_failed("setresuid", "");
    if (syscall(SYS_capget, &header, sets))
        call_failed("capget", "");
    for (int half = 0; half < 2; half++)
        sets[half].effective = sets[half].permitted;
    if (syscall(SYS_capset, &header, sets))
        call_failed("capset", "");
    /* The change of ids has taken it, and the worker needs init's files in /proc. */
    control("PR_SET_DUMPABLE", PR_SET_DUMPABLE, 1, 0);
}

typedef struct {
    long owner;
    int pids, group, door, reaper;
} birth;

static _Noreturn void be_init(
    unsigned namespaces, const birth *given, unsigned streams, unsigned short rows, unsigned short columns)
{
    const int born_with[] = {channel, given->pids, given->group, given->door, given->reaper};
    const int kept[] = {channel, given->door, given->reaper};

    if (streams & CLOSED_AT_FIRST)
        close_others(born_with, sizeof born_with / sizeof *born_with);
    pid_t *noted = mmap(NULL, 2 * sizeof *noted, PROT_READ | PROT_WRITE, MAP_SHARED, given->pids, 0);
    if (noted == MAP_FAILED)
        call_failed("mmap", "");
    step = "make init";
    if (given->owner >= 0)
        be_owner((uid_t)given->owner);
    if (fork_sibling(namespaces | (given->group >= 0 ? CLONE_INTO_CGROUP : 0), given->group, &noted[0]))
        _exit(0);
    munmap(noted, 2 * sizeof *noted);
    close(given->pids);
    if (given->group >= 0)
        close(given->group);
    /* With the host's ids still: its quota of keys is root's. */
    step = "begin a session keyring";
    begin_keyring();
    step = "become the zone's root";
    expect("IDS");
    if (namespaces & CLONE_NEWUSER)
        become(0, 0, NULL, 0);
    else
        control("PR_SET_DUMPABLE", PR_SET_DUMPABLE, 0, 0);
    assemble(expect("SCRIPT"));
    if (streams & CLOSED_AT_FIRST)
        close_others(kept, sizeof kept / sizeof *kept);
    step = "connect the streams";
    become_program(streams, rows, columns, given->door, given->reaper);
}

/* ----------------------------------------------------------------------------------------------------------- exec */

/*
 * Join every namespace in which init differs from this process, and its pid namespace, which holds for children only. The
 * zone's processes must not trace who comes in, so that this one is not dumpable by now. All come in one call, by a pidfd,
 * so that nothing can change between two of them; and since who is in the user namespace by then may not look at an init
 * that has not executed anything there.
 */
static void join(unsigned namespaces)
{
    if (syscall(SYS_setns, INIT, namespaces | CLONE_NEWPID))
        call_failed("setns", "of init");
    if (namespaces & CLONE_NEWUSER)
        become(0, 0, NULL, 0);
}

static _Noreturn void be_exec(
    unsigned namespaces, bool grouped, unsigned streams, unsigned short rows, unsigned short columns)
{
    channel = CHANNEL;
    step = "join the zone";
    control("PR_SET_DUMPABLE", PR_SET_DUMPABLE, 0, 0);
    if (streams & CLOSED_AT_FIRST && syscall(SYS_close_range, grouped ? FIRST_OTHER : GROUP, ~0U, 0))
        call_failed("close_range", "");
    pid_t *noted = mmap(NULL, 2 * sizeof *noted, PROT_READ | PROT_WRITE, MAP_SHARED, PIDS, 0);
    if (noted == MAP_FAILED)
        call_failed("mmap", "");
    close(PIDS);
    if (fork_sibling(grouped ? CLONE_INTO_CGROUP : 0, GROUP, &noted[0]))
        _exit(0);
    if (grouped)
        close(GROUP);
    /* Its rank is given to it in its group, whose processors bound those that it may have. */
    expect("RANKED");
    begin_keyring();
    join(namespaces);
    if (fork_sibling(0, -1, &noted[1]))
        _exit(0);
    step = "execute";
    munmap(noted, 2 * sizeof *noted);
    close(INIT);
    become_program(streams, rows, columns, -1, -1);
}

static long parse_number(const char *text)
{
    char *end;
    long value = strtol(text, &end, 0);
    if (!*text || *end)
        _exit(NOT_EXECUTED);
    return value;
}

int main(int argc, char **argv)
{
    long numbers[16] = {0};

    /* NAME of runtime/entry.py: by it a start tells whether init has become the zone's program. */
    prctl(PR_SET_NAME, "zonectl:entry", 0UL, 0UL, 0UL);
    for (int i = 2; i < argc && i - 2 < 16; i++)
        numbers[i - 2] = parse_number(argv[i]);
    if (argc == 12 && !strcmp(argv[1], "init")) {
        const birth given = {numbers[1], (int)numbers[3], (int)numbers[4], (int)numbers[5], (int)numbers[6]};
        channel = (int)numbers[2];
        be_init((unsigned)numbers[0], &given, (unsigned)numbers[7], (unsigned short)numbers[8], (unsigned short)numbers[9]);
    }
    if (argc == 7 && !strcmp(argv[1], "exec"))
        be_exec((unsigned)numbers[0], numbers[1] >= 0, (unsigned)numbers[2], (unsigned short)numbers[3],
                (unsigned short)numbers[4]);
    dprintf(2, "zonectl-entry: for zonectl alone, which starts it; see zonectl(1)\n");
    return 2;
}
