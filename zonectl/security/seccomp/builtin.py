"""The named profiles: `default` for systems, `strict` for single services.

Why each call is where it is: docs/adr/0074-system-calls.md.

Both are allowlists: what is not named here fails with EPERM, and what zonectl has never heard of with ENOSYS, as on a
kernel that has not heard of it either, so that programs fall back.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Final

from zonectl.security.seccomp.profile import ALLOW, ENOSYS, EPERM, WORD, Condition, Profile, Rule, fails

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES: Final = ("default", "strict")

CLONE_NEWTIME: Final = 0x00000080
CLONE_NAMESPACES: Final = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. clone(2) itself cannot make a time namespace."""

TIOCSTI: Final = 0x5412
TIOCLINUX: Final = 0x541C

AF_UNIX: Final = 1
AF_INET: Final = 2
AF_INET6: Final = 10
AF_NETLINK: Final = 16
AF_PACKET: Final = 17
NETLINK_AUDIT: Final = 9

PER_LINUX: Final = 0x0000
PER_LINUX32: Final = 0x0008
UNAME26: Final = 0x0020000
ADDR_NO_RANDOMIZE: Final = 0x0040000
ASK: Final = 0xFFFFFFFF
"""Of personality(2), which has a 32-bit argument; the last only asks."""

# What every program needs, in the order of the manual's subjects.
_FILES = """
    access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
    fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr
    fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat
    inotify_add_watch inotify_init inotify_init1 inotify_rm_watch lchown lgetxattr link linkat listxattr listxattrat
    llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat newfstatat open openat openat2 pipe pipe2
    pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat
    rename renameat renameat2 rmdir sendfile setxattr setxattrat splice stat statfs statx symlink symlinkat sync
    sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev
    file_getattr file_setattr cachestat
"""
_MEMORY = """
    brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mprotect mremap
    mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_madvise process_mrelease
    remap_file_pages
"""
_PROCESSES = """
    alarm arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue futex_wait futex_waitv
    futex_wake get_robust_list getcpu getegid geteuid getgid getgroups getitimer getpgid getpgrp getpid getppid
    getpriority getrandom getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set kill pause
    pidfd_open pidfd_send_signal prctl prlimit64 restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask
    rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield set_robust_list set_tid_address
    setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid setrlimit
    setsid setuid sigaltstack signalfd signalfd4 sysinfo tgkill times tkill uname uprobe uretprobe vfork wait4 waitid
    landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp lsm_get_self_attr lsm_list_modules
    lsm_set_self_attr
"""
_TIME = """
    clock_getres clock_gettime clock_nanosleep gettimeofday nanosleep time timer_create timer_delete timer_getoverrun
    timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime
"""
_TALK = """
    accept accept4 bind connect epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd
    eventfd2 getpeername getsockname getsockopt listen mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend
    mq_unlink msgctl msgget msgrcv msgsnd poll ppoll pselect6 recvfrom recvmmsg recvmsg select semctl semget semop
    semtimedop sendmmsg sendmsg sendto setsockopt shmat shmctl shmdt shmget shutdown
    io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit
"""

# What a system needs besides: an init, package managers, debuggers. Each is held by the zone's own namespaces.
_SYSTEM = """
    chroot pivot_root mount umount2 fsopen fsconfig fsmount fspick move_mount open_tree open_tree_attr mount_setattr
    statmount listmount name_to_handle_at sethostname setdomainname reboot adjtimex clock_adjtime
    fanotify_init fanotify_mark ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd
    get_mempolicy mbind set_mempolicy set_mempolicy_home_node
"""

# No kernel since 5.10 has them on these architectures.
_GONE = """
    _sysctl afs_syscall create_module epoll_ctl_old epoll_wait_old get_kernel_syms get_thread_area getpmsg nfsservctl
    putpmsg query_module security set_thread_area tuxcall uselib vserver
"""

# ENOSYS and not EPERM: what a kernel without keys answers. Container runtimes inside give up on anything else.
_KEYS = "add_key keyctl request_key"


@cache
def named(name: str, *, nesting: bool) -> Profile:
    """The profile `default` or `strict`; with `nesting` a zone may make namespaces, and so zones of its own.

    Raises:
        KeyError: there is none of that name.

    """
    return {"default": _default, "strict": _strict}[name](nesting)


def _default(nesting: bool) -> Profile:  # noqa: FBT001 - its own caller's
    rules = _allowed(_FILES, _MEMORY, _PROCESSES, _TIME, _TALK, _SYSTEM)
    families = (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET)
    personalities = (
        *(PER_LINUX, PER_LINUX32, UNAME26, PER_LINUX32 | UNAME26),
        *(ADDR_NO_RANDOMIZE, PER_LINUX32 | ADDR_NO_RANDOMIZE, ASK),
    )
    rules |= _common(families=families, personalities=personalities)
    rules |= _nesting() if nesting else _no_namespaces()
    return Profile(name="default+nesting" if nesting else "default", rules=rules)


def _strict(nesting: bool) -> Profile:  # noqa: FBT001 - its own caller's
    rules = _allowed(_FILES, _MEMORY, _PROCESSES, _TIME, _TALK)
    rules |= _common(families=(AF_UNIX, AF_INET, AF_INET6), personalities=(PER_LINUX, ASK))
    rules |= _nesting() if nesting else _no_namespaces()
    name = "strict+nesting" if nesting else "strict"
    return Profile(name=name, rules=rules, no_new_privs=True)


def _allowed(*groups: str) -> dict[str, tuple[Rule, ...]]:
    return {name: (Rule(ALLOW),) for group in groups for name in group.split()}


def _common(*, families: tuple[int, ...], personalities: tuple[int, ...]) -> dict[str, tuple[Rule, ...]]:
    """What both profiles decide by arguments, and what is answered with ENOSYS."""
    audit = Rule(fails(errno.EINVAL), (_is(0, AF_NETLINK), _is(2, NETLINK_AUDIT)))
    no_family = Rule(fails(errno.EAFNOSUPPORT))
    typing = tuple(Rule(EPERM, (_is(1, command),)) for command in (TIOCSTI, TIOCLINUX))
    return {
        "socket": (audit, *_one_of(0, families), no_family),
        "socketpair": (*_one_of(0, families), no_family),
        "personality": tuple(_one_of(0, personalities)),
        "ioctl": (*typing, Rule(ALLOW)),
    } | {name: (Rule(ENOSYS),) for name in f"{_GONE} {_KEYS}".split()}


def _no_namespaces() -> dict[str, tuple[Rule, ...]]:
    return {
        "clone": (Rule(ALLOW, (_none_of(0, CLONE_NAMESPACES),)),),
        "unshare": (Rule(ALLOW, (_none_of(0, CLONE_NAMESPACES | CLONE_NEWTIME),)),),
        # Its flags are behind a pointer, which no filter can follow: the C library falls back to clone.
        "clone3": (Rule(ENOSYS),),
    }


def guarded(profile: Profile) -> Profile:
    """`profile` for a zone without nesting: nothing in it makes a namespace or enters one."""
    flags = {"clone": CLONE_NAMESPACES, "unshare": CLONE_NAMESPACES | CLONE_NEWTIME}
    guards = {
        name: (Rule(EPERM, (replace(_none_of(0, mask), negated=True),)), *profile.rules.get(name, ()))
        for name, mask in flags.items()
    }
    fixed = {"clone3": (Rule(ENOSYS),), "setns": (Rule(EPERM),)}
    return replace(profile, rules={**profile.rules, **guards, **fixed})


def _nesting() -> dict[str, tuple[Rule, ...]]:
    return _allowed("clone clone3 unshare setns mount umount2 pivot_root sethostname")


def _is(index: int, value: int) -> Condition:
    """Argument number `index`, an int, is `value`. Its upper half means nothing, and must not help (CVE-2019-10063)."""
    return Condition(index, value, value, mask=WORD)


def _none_of(index: int, flags: int) -> Condition:
    return Condition(index, 0, 0, mask=flags)


def _one_of(index: int, values: tuple[int, ...]) -> Iterator[Rule]:
    """Rules that allow an int to be one of `values`: one rule for each run of neighbours."""
    first = last = None
    for value in sorted(values):
        if first is None or last is None:
            first = last = value
        elif value == last + 1:
            last = value
        else:
            yield Rule(ALLOW, (Condition(index, first, last, mask=WORD),))
            first = last = value
    if first is not None and last is not None:
        yield Rule(ALLOW, (Condition(index, first, last, mask=WORD),))
