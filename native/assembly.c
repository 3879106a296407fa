/*
 * The script of a zone's init: the calls that put its root together, bring its network up and leave the host's root behind,
 * in the order in which the worker has written them (model/script.py).
 *
 * Descriptors are in numbered registers: the trees that the worker sends, and what calls open. A call may stand under a
 * condition: that an earlier one, which was allowed to fail, did not.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "entry.h"

enum { MOST_OPENED = 64, MOST_CONDITIONS = 256, MOST_TREES = 1 << 16 };

/* Numbers in the place of a register. */
static const uint32_t FIRST_TREE = 1U << 16, HERE = UINT32_MAX;

static int opened[MOST_OPENED], *trees;
static uint32_t tree_count;
static bool conditions[MOST_CONDITIONS];

static int *registered(uint32_t number)
{
    if (number < MOST_OPENED)
        return &opened[number];
    if (number < FIRST_TREE || number - FIRST_TREE >= tree_count)
        refuse("ZonectlError", "the script names a descriptor that there is not");
    return &trees[number - FIRST_TREE];
}

/* The descriptor that comes next in the script. */
static int take_descriptor(void)
{
    uint32_t number = take_u32();

    if (number == HERE)
        return AT_FDCWD;
    int fd = *registered(number);
    if (fd < 0)
        refuse("ZonectlError", "the script uses a descriptor that is not open");
    return fd;
}

/* Where the script wants the descriptor `fd` of what it comes to next. */
static void keep(uint32_t number, int fd)
{
    *registered(number) = fd;
}

static bool *take_condition(void)
{
    uint32_t number = take_u32();

    if (number >= MOST_CONDITIONS)
        refuse("ZonectlError", "the script names a condition that there is not");
    return &conditions[number];
}

/* --------------------------------------------------------------------------------------------------- the worker */

static void await_trees(void)
{
    uint32_t count = take_u32(), found = 0;

    if (count > MOST_TREES)
        refuse("ZonectlError", "the script has too many trees");
    trees = mmap(NULL, (count + 1) * sizeof *trees, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (trees == MAP_FAILED)
        call_failed("mmap", "");
    /* There is a message even if there is no tree. */
    do {
        size_t room = count - found < MOST_DESCRIPTORS ? count - found : MOST_DESCRIPTORS;
        found += (uint32_t)expect_many("TREES", trees + found, room);
    } while (found < count);
    tree_count = count;
}

/* ------------------------------------------------------------------------------------------------------- mounts */

static void make_mount(void)
{
    bool *made = take_condition();
    const char *source = take_text_or_null(), *target = take_text(), *fstype = take_text_or_null();
    uint64_t flags = take_u64();

    /* Condition 0 always holds: what stands under none must not fail. */
    *made = mount_at(source, target, fstype, flags, take_text_or_null(), made != conditions);
}

static void unmount(void)
{
    const char *name = take_text();

    unmount_at(name, (int)take_u32());
}

static void make_filesystem(void)
{
    uint32_t to = take_u32();
    const char *fstype = take_text();
    uint32_t attributes = take_u32(), options = take_u32();
    uint64_t magic = take_u64();
    int context = begin_filesystem(fstype);

    for (uint32_t i = 0; i < options; i++) {
        const char *key = take_text();
        set_option(context, key, take_text());
    }
    keep(to, end_filesystem(context, fstype, attributes, magic));
}

static void take_clone(void)
{
    uint32_t to = take_u32();
    int folder = take_descriptor();

    keep(to, clone_tree(folder, take_text()));
}

static void move_to(void)
{
    int from = take_descriptor(), to = take_descriptor();

    move_tree(from, to, take_text());
}

static void seal(void)
{
    make_read_only(take_descriptor());
}

/* ------------------------------------------------------------------------------------------------ in the new root */

static bool is_folder(int fd)
{
    struct stat found;

    check(fstat(fd, &found), "fstat", "");
    return S_ISDIR(found.st_mode);
}

/* -1 where a dangling link (to a resolver's file, say) is passed over: the root brings its own. */
static int place_file(int root, const char *path, mode_t mode, bool tolerant)
{
    const char *call;
    int fd = try_place_file(root, path, mode, &call);

    if (fd < 0 && !(tolerant && (errno == ENOENT || errno == ELOOP)))
        call_failed(call, path);
    return fd;
}

static void place_tree(void)
{
    int root = take_descriptor(), tree = take_descriptor();
    const char *target = take_text();
    bool plain = take_u32();
    int place = is_folder(tree) ? place_folder(root, target, plain) : place_file(root, target, 0644, false);

    move_tree(tree, place, "");
    close(place);
}

static void place_node(void)
{
    int folder = take_descriptor();
    const char *path = take_text(), *name = take_text();
    unsigned number_major = take_u32(), number_minor = take_u32();
    struct stat found;

    int tree = clone_tree(AT_FDCWD, path);
    int place = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    check(place < 0, "openat", path);
    check(fstat(tree, &found), "fstat", path);
    if (!S_ISCHR(found.st_mode) || found.st_rdev != makedev(number_major, number_minor)) {
        char message[MOST_TEXT];
        snprintf(message, sizeof message, "%.1024s of the host is another device", path);
        refuse("ZonectlError", message);
    }
    move_tree(tree, place, "");
    close(place);
    close(tree);
}

/* A tree decides itself what its place is. */
static void make_point(void)
{
    int root = take_descriptor();
    uint32_t kind = take_u32();
    const char *target = take_text();
    bool folder = kind == HERE ? take_u32() : is_folder(*registered(kind));
    int made = folder ? place_folder(root, target, false) : place_file(root, target, 0644, true);

    if (made >= 0)
        close(made);
}

static void write_whole(int fd, const char *text, const char *subject)
{
    size_t length = strlen(text);
    ssize_t written = write(fd, text, length);

    if (written >= 0 && (size_t)written != length)
        errno = EINVAL; /* it takes no more than a part of that */
    check(written != (ssize_t)length, "write", subject);
}

static void make_file(void)
{
    int folder = take_descriptor();
    const char *name = take_text();
    mode_t mode = take_u32();
    const char *text = take_text();
    int made = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

    check(made < 0, "openat", name);
    check(fchmod(made, mode), "fchmod", name); /* whatever the caller's umask */
    if (*text)
        write_whole(made, text, name);
    close(made);
}

/* What belongs to an undumpable process in /proc is the host root's. Nobody is there to use it, as in `enter_scaffold`. */
static void shift_clocks(void)
{
    const char *offsets = take_text();

    check(prctl(PR_SET_DUMPABLE, 1UL, 0UL, 0UL, 0UL), "prctl", "PR_SET_DUMPABLE");
    int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    check(fd < 0, "write", "/proc/self/timens_offsets");
    write_whole(fd, offsets, "/proc/self/timens_offsets");
    close(fd);
    check(prctl(PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL), "prctl", "PR_SET_DUMPABLE");
}

/* At once, and not from the next execve on, nor with the next child only, as before Linux 6.3. */
static void enter_clocks(void)
{
    int fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);

    check(fd < 0, "open", "/proc/self/ns/time_for_children");
    check(setns(fd, CLONE_NEWTIME), "setns", "flags 0x80");
    close(fd);
}

/* A setting below /proc. Where its file is missing the script may go on, if the kernel has nothing of `whole` either. */
static void write_setting(void)
{
    const char *path = take_text(), *value = take_text(), *whole = take_text();
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0) {
        int number = errno;
        if (number == ENOENT && *whole && access(whole, F_OK))
            return;
        errno = number;
        call_failed("write", path);
    }
    write_whole(fd, value, path);
    close(fd);
}

/* ------------------------------------------------------------------------------------------------------ networking */

/* One request, with the number of `link`, if there is one, behind the first four bytes of its body. */
static void ask(void)
{
    const char *call = take_text(), *subject = take_text(), *link = take_text();
    uint32_t length = take_u32();
    char *request = take(length);

    if (length < sizeof(struct nlmsghdr) + 8)
        refuse("ZonectlError", "the script has too short a request");
    if (*link) {
        uint32_t index = if_nametoindex(link);
        check(!index, "if_nametoindex", link);
        memcpy(request + sizeof(struct nlmsghdr) + 4, &index, sizeof index);
    }
    ask_kernel(call, subject, request, length);
}

/* -------------------------------------------------------------------------------------------------------- settings */

static void set(void)
{
    int procfs = take_descriptor();
    const char *name = take_text(), *value = take_text(), *missing = take_text(), *forbidden = take_text(),
               *refused = take_text();
    char message[MOST_TEXT];
    int fd = try_open_below(procfs, name, O_WRONLY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);

    if (fd >= 0) {
        ssize_t written = write(fd, value, strlen(value));
        if (written == (ssize_t)strlen(value)) {
            close(fd);
            return;
        }
        if (written >= 0)
            errno = EINVAL; /* it takes no more than a part of that */
    }
    if (errno == ENOENT)
        fail("HostLacks", 0, "message", missing, "hint", "remove it from [sysctl]", NULL);
    if (errno == EACCES || errno == EPERM)
        fail("HostLacks", 0, "message", forbidden, "hint", "remove it from [sysctl]", NULL);
    snprintf(message, sizeof message, "%.1024s: %s", refused, strerror(errno));
    refuse("ZonectlError", message);
}

/* -------------------------------------------------------------------------------------------------- single calls */

static void begin_step(void)
{
    step = take_text();
}

static void await_links(void)
{
    expect_many("LINKS", NULL, 0);
}

static void leave_namespaces(void)
{
    uint32_t flags = take_u32();
    char subject[32];

    if (!unshare((int)flags))
        return;
    int number = errno;
    snprintf(subject, sizeof subject, "flags %#x", flags);
    errno = number;
    call_failed("unshare", subject);
}

static void set_host_name(void)
{
    const char *name = take_text();

    check(sethostname(name, strlen(name)), "sethostname", name);
}

static void set_domain_name(void)
{
    const char *name = take_text();

    check(setdomainname(name, strlen(name)), "setdomainname", name);
}

static void change_folder(void)
{
    const char *path = take_text();

    check(chdir(path), "chdir", path);
}

static void enter(void)
{
    check(fchdir(take_descriptor()), "fchdir", "");
}

static void pivot(void)
{
    check(syscall(SYS_pivot_root, ".", "."), "pivot_root", ".");
}

static void change_root(void)
{
    const char *path = take_text();

    check(chroot(path), "chroot", path);
}

static void make_folder(void)
{
    int folder = take_descriptor();
    const char *name = take_text();

    mode_t mode = take_u32();

    check(folder == AT_FDCWD ? mkdir(name, mode) : mkdirat(folder, name, mode), "mkdir", name);
}

static void make_link(void)
{
    int folder = take_descriptor();
    const char *name = take_text(), *to = take_text();

    check(symlinkat(to, folder, name), "symlinkat", name);
}

static void open_place(void)
{
    uint32_t to = take_u32();
    int folder = take_descriptor();
    const char *path = take_text();
    int fd = openat(folder, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    check(fd < 0, "openat", path);
    keep(to, fd);
}

static void close_kept(void)
{
    uint32_t number = take_u32();

    /* What would have opened it may have stood under a condition. */
    if (*registered(number) >= 0)
        close(*registered(number));
    keep(number, -1);
}

static void open_folder(void)
{
    uint32_t to = take_u32();
    int root = take_descriptor();
    const char *path = take_text();

    keep(to, place_folder(root, path, take_u32()));
}

/* The condition is whether there is such a file. */
static void open_file(void)
{
    uint32_t to = take_u32();
    int root = take_descriptor();
    const char *path = take_text();
    mode_t mode = take_u32();
    bool *there = take_condition();
    int fd = place_file(root, path, mode, there != conditions);

    *there = fd >= 0;
    keep(to, fd);
}

/* A folder of the root that no link leads to; the condition is whether there is one, or was another under it before. */
static void find_folder(void)
{
    uint32_t to = take_u32();
    int root = take_descriptor();
    const char *path = take_text();
    bool *there = take_condition();
    int fd = try_open_below(root, path, O_PATH | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

    if (fd < 0 && errno != ENOENT && errno != ELOOP && errno != ENOTDIR)
        call_failed("openat2", path);
    *there = *there || fd >= 0;
    keep(to, fd);
}

/* ------------------------------------------------------------------------------------------------------ the script */

/* By number, as in model/script.py. */
static void (*const calls[])(void) = {
    begin_step,  await_trees,    await_links,       leave_namespaces, shift_clocks,
    enter_scaffold, lock_mounts, set_host_name, set_domain_name,  make_mount,    unmount,          change_folder,
    enter,       pivot,        change_root,    make_folder,       make_link,     make_file,        open_place,
    take_clone,  move_to,      seal,           make_filesystem,   close_kept,    open_folder,      open_file,
    find_folder, place_tree,   place_node,     make_point,        write_setting, set,              ask,
    enter_clocks,
};

void assemble(int fd)
{
    conditions[0] = true;
    for (size_t i = 0; i < MOST_OPENED; i++)
        opened[i] = -1;
    map_document(fd);
    while (!document_ended()) {
        uint32_t code = take_u32(), condition = take_u32(), length = take_u32();
        const char *arguments = document_mark();
        if (code >= sizeof calls / sizeof *calls || condition >= MOST_CONDITIONS)
            refuse("ZonectlError", "the script has a call that zonectl-entry does not know");
        if (conditions[condition])
            calls[code]();
        else
            take(length);
        if ((size_t)(document_mark() - arguments) != length)
            refuse("ZonectlError", "the script has a call with other arguments than it should have");
    }
}
