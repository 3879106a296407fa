/* Restrictions: `restrict_self` is the one function that applies them, to init and to each exec alike. */
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "entry.h"
#include "order.h"

static void control_capability(const char *subject, int option, unsigned long second, unsigned long third, unsigned cap)
{
    char about[64];

    if (!prctl(option, second, third, 0UL, 0UL))
        return;
    int number = errno;
    snprintf(about, sizeof about, "%s %u", subject, cap);
    errno = number;
    call_failed("prctl", about);
}

void control(const char *subject, int option, unsigned long second, unsigned long third)
{
    if (prctl(option, second, third, 0UL, 0UL))
        call_failed("prctl", subject);
}

/* Ids of this process's user namespace. */
void become(uint32_t uid, uint32_t gid, const gid_t *groups, size_t count)
{
    if (syscall(SYS_setgroups, count, groups))
        call_failed("setgroups", "");
    if (syscall(SYS_setresgid, gid, gid, gid))
        call_failed("setresgid", "");
    if (syscall(SYS_setresuid, uid, uid, uid))
        call_failed("setresuid", "");
    /* A change of ids lets fs.suid_dumpable decide who may trace this process (CVE-2016-9962). */
    control("PR_SET_DUMPABLE", PR_SET_DUMPABLE, 0, 0);
}

static void drop_bounding(const order *given)
{
    for (unsigned cap = 0; cap < given->known_capabilities; cap++)
        if (!(given->bounding >> cap & 1))
            control_capability("PR_CAPBSET_DROP", PR_CAPBSET_DROP, cap, 0, cap);
    /* Those that the kernel has and zonectl has no name for. */
    unsigned cap = given->known_capabilities;
    while (!prctl(PR_CAPBSET_DROP, cap, 0UL, 0UL, 0UL))
        cap++;
    if (errno != EINVAL)
        call_failed("prctl", "PR_CAPBSET_DROP");
    /* Without NOROOT, so that the zone's root is root; KEEP_CAPS, which execve clears, holds over the change of ids. */
    control("PR_SET_SECUREBITS", PR_SET_SECUREBITS, 1UL << SECURE_KEEP_CAPS, 0);
}

static void take_capabilities(const order *given)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    uint64_t now = given->held | given->until_execve;
    struct __user_cap_data_struct sets[2];

    control("PR_CAP_AMBIENT_CLEAR_ALL", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0);
    for (int half = 0; half < 2; half++) {
        sets[half].effective = sets[half].permitted = (uint32_t)(now >> (32 * half));
        sets[half].inheritable = (uint32_t)(given->ambient >> (32 * half));
    }
    if (syscall(SYS_capset, &header, sets))
        call_failed("capset", "");
    for (unsigned cap = 0; cap < given->known_capabilities; cap++)
        if (given->ambient >> cap & 1)
            control_capability("PR_CAP_AMBIENT_RAISE", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, cap);
}

/* Verified, so that no directory of the host's can be it (CVE-2024-21626): false where it cannot be entered. */
static bool enter_folder(const char *folder, bool verified)
{
    char here[PATH_MAX];

    if (chdir(folder))
        return false;
    if (!verified)
        return true;
    if (syscall(SYS_getcwd, here, sizeof here) < 0)
        call_failed("getcwd", folder);
    if (here[0] != '/') { /* the kernel's answer is "(unreachable)/..." */
        char message[MOST_TEXT];
        snprintf(message, sizeof message, "the working directory %s is not in the zone", folder);
        refuse("ZonectlError", message);
    }
    return true;
}

static void change_folder(const order *given)
{
    bool verified = given->flags & VERIFIED_FOLDER;

    if (enter_folder(given->folder, verified))
        return;
    /* A home that is not there, or is not the user's to enter, is /, as for login(1). */
    if (!(given->flags & TO_HOME))
        call_failed("chdir", given->folder);
    if (!enter_folder("/", verified))
        call_failed("chdir", "/");
}

static uint64_t lesser(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

/* Those that are not declared as far as the hard limits of this process allow. */
static void hold_ceilings(const order *given)
{
    for (uint32_t i = 0; i < given->ceiling_count; i++) {
        const ceiling *each = &given->ceilings[i];
        struct rlimit64 now, wanted = {.rlim_cur = each->soft, .rlim_max = each->hard};
        if (syscall(SYS_prlimit64, 0, each->number, NULL, &now))
            call_failed("prlimit64", each->name);
        if (!each->declared) {
            wanted.rlim_cur = lesser(wanted.rlim_cur, now.rlim_max);
            wanted.rlim_max = lesser(wanted.rlim_max, now.rlim_max);
        }
        if (wanted.rlim_cur == now.rlim_cur && wanted.rlim_max == now.rlim_max)
            continue;
        if (syscall(SYS_prlimit64, 0, each->number, &wanted, NULL)) {
            char message[256], number[32] = "unlimited";
            if (now.rlim_max != RLIM64_INFINITY)
                snprintf(number, sizeof number, "%llu", (unsigned long long)now.rlim_max);
            snprintf(message, sizeof message, "limits.%.64s: the hard limit is %s", each->name, number);
            refuse("HostLacks", message);
        }
    }
}

/*
 * Take every restriction and become the user. The order, and its reasons:
 *
 * 1. umask, and the usual personality: that of whoever started us (setarch -R, say) would be handed down (personality(2)).
 *    Neither needs a capability.
 * 2. The bounding set, while CAP_SETPCAP is there; securebits.
 * 3. Groups, then the group id, then the user id: each needs a capability that the next step may take.
 * 4. The capabilities of that user: after the ids, whose change would clear them.
 * 5. The working directory, as the user, so that nothing is shown that the user may not see; and verified.
 * 6. Resource limits, which would be in the way of all that is before.
 * 7. no_new_privs. Without it, CAP_SYS_ADMIN is kept until the execve, which takes it: a filter of system calls can be
 *    loaded by its holder alone (seccomp(2)).
 *
 * What is left until the execve, and the filter, is `execute`'s.
 */
void restrict_self(const order *given)
{
    step = given->step;
    umask(given->umask);
    if (personality(PER_LINUX) < 0)
        call_failed("personality", "");
    drop_bounding(given);
    become(given->uid, given->gid, given->groups, given->group_count);
    take_capabilities(given);
    change_folder(given);
    hold_ceilings(given);
    if (given->flags & NO_NEW_PRIVS)
        control("PR_SET_NO_NEW_PRIVS", PR_SET_NO_NEW_PRIVS, 1, 0);
}
