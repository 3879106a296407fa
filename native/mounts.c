/*
 * Mounts, by the new calls (mount_setattr(2), move_mount(2), fsopen(2)) but for what only mount(2) does: and the scaffold on
 * which they are locked.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "entry.h"

int mount(const char *, const char *, const char *, unsigned long, const void *); /* <sys/mount.h> and <linux/mount.h> */
int umount2(const char *, int);                                                   /* do not go together */

/* ----------------------------------------------------------------------------------------------------- scaffold */

/*
 * A process that only waits, in a user and a mount namespace of its own, lends us the latter: what is mounted there is
 * locked once it is copied into a namespace of ours (docs/adr/0065). It shares our memory and has a stack of its own.
 */
static pid_t scaffold;

static int idle(void *nothing)
{
    (void)nothing;
    pause(); /* with every signal blocked it does not return */
    return 0;
}

void enter_scaffold(void)
{
    static char stack[8192] __attribute__((aligned(16)));
    sigset_t all, before;
    int pidfd = -1;

    /* setns by a pidfd asks for the right to trace, which taking new ids has forbidden; there is nobody to use it. */
    check(prctl(PR_SET_DUMPABLE, 1UL, 0UL, 0UL, 0UL), "prctl", "PR_SET_DUMPABLE");
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    scaffold = clone(idle, stack + sizeof stack, CLONE_VM | CLONE_PIDFD | CLONE_NEWUSER | CLONE_NEWNS | SIGCHLD, NULL, &pidfd);
    int number = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = number;
    check(scaffold < 0, "clone", "flags 0x10020000");
    int joined = setns(pidfd, CLONE_NEWNS);
    number = errno;
    check(prctl(PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL), "prctl", "PR_SET_DUMPABLE");
    kill(scaffold, SIGKILL);
    close(pidfd);
    errno = number;
    check(joined, "setns", "flags 0x20000");
}

void lock_mounts(void)
{
    if (!scaffold)
        refuse("ZonectlError", "mounts are locked on a scaffold only");
    /* By now it is gone; before, it was not worth waiting for. */
    while (waitpid(scaffold, NULL, 0) < 0 && errno != ECHILD) /* whoever ignores SIGCHLD has none to wait for */
        if (errno != EINTR)
            call_failed("waitpid", "the scaffold");
    scaffold = 0;
    check(unshare(CLONE_NEWNS), "unshare", "flags 0x20000");
}

/* ------------------------------------------------------------------------------------------------------- mounts */

/* Whether it is there then; a `tolerant` one may lack its source or its place. */
bool mount_at(
    const char *source, const char *target, const char *fstype, uint64_t flags, const char *data, bool tolerant)
{
    if (!mount(source, target, fstype, flags, data))
        return true;
    if (!tolerant || errno != ENOENT)
        call_failed_about("mount", fstype && *fstype ? fstype : source && *source ? source : "none", " on ", target);
    return false;
}

void unmount_at(const char *name, int flags)
{
    check(umount2(name, flags), "umount2", name);
}

static void configure(int context, unsigned command, const char *key, const char *value)
{
    char said[MOST_TEXT], *at = said;

    if (!syscall(SYS_fsconfig, context, command, key, value, 0))
        return;
    int number = errno;
    at += snprintf(at, 512, "%.500s", key ? key : "");
    /* What the file system has written into its context: lines such as "e overlay: ...". */
    for (int line = 0; line < 8 && said + sizeof said - at > 512; line++) {
        static char text[4096];
        ssize_t length = read(context, text, sizeof text);
        if (length < 2)
            break;
        length = length < 400 ? length : 400;
        while (length > 2 && (text[length - 1] == '\n' || text[length - 1] == ' '))
            length--;
        at += sprintf(at, "%s%.*s", at == said ? "" : "; ", (int)length - 2, text + 2);
    }
    errno = number;
    call_failed("fsconfig", said);
}

/* The context of a new file system, to be configured. */
int begin_filesystem(const char *fstype)
{
    int context = (int)syscall(SYS_fsopen, fstype, FSOPEN_CLOEXEC);

    check(context < 0, "fsopen", fstype);
    return context;
}

/* `value` may be empty: the option is a flag. */
void set_option(int context, const char *key, const char *value)
{
    configure(context, *value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, *value ? value : NULL);
}

/* The file system of `context`, which is closed, as a detached mount; verified to be of the kind `magic`, unless that is 0. */
int end_filesystem(int context, const char *fstype, uint32_t attributes, uint64_t magic)
{
    struct statfs found;

    configure(context, FSCONFIG_CMD_CREATE, NULL, NULL);
    int made = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
    check(made < 0, "fsmount", "");
    close(context);
    if (magic) {
        check(fstatfs(made, &found), "fstatfs", fstype);
        errno = ENODEV;
        check((uint64_t)found.f_type != magic, "fstatfs", "of another kind than was asked for");
    }
    return made;
}

/* An empty `path` is `folder` itself. */
int clone_tree(int folder, const char *path)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (*path ? 0 : AT_EMPTY_PATH);
    int tree = (int)syscall(SYS_open_tree, folder, path, flags);

    check(tree < 0, "open_tree", path);
    return tree;
}

void move_tree(int from, int to, const char *path)
{
    unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (*path ? 0 : MOVE_MOUNT_T_EMPTY_PATH);

    if (syscall(SYS_move_mount, from, "", to, path, flags))
        call_failed_about("move_mount", "to", *path ? " " : "", path);
}

void make_read_only(int place)
{
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
    int result = (int)syscall(SYS_mount_setattr, place, "", AT_EMPTY_PATH, &attributes, sizeof attributes);

    check(result, "mount_setattr", "");
}
