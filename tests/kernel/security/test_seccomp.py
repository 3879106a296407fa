"""Filters loaded in forked children, and what the running kernel then says to real calls."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.kernel import forked
from zonectl.errors import SyscallError
from zonectl.kernel import attributes, process
from zonectl.kernel.seccomp import set_mode_filter
from zonectl.security.seccomp import architectures, builtin, compiler, filters
from zonectl.security.seccomp.profile import ALLOW, EPERM, KILL, Condition, Profile, Rule, fails, of_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.model.seccomp import Filter

pytestmark = pytest.mark.requires("root")

X86_64 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="machine code and calls of x86_64")
NUMBERS = architectures.native().numbers
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long

AF_ALG, AF_VSOCK, NETLINK_AUDIT = 38, 40, 9
CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWTIME, CLONE_FILES = 0x10000000, 0x20000, 0x80, 0x400
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
SIGSYS = process.ExitStatus(signal=signal.SIGSYS)
X32_SYSCALL_BIT = 0x40000000


def call(name: str | int, *arguments: int) -> int:
    """Make a system call with 64-bit arguments: its result, or its errno as a negative number."""
    number = NUMBERS[name] if isinstance(name, str) else name
    result: int = LIBC.syscall(
        ctypes.c_long(number), *(ctypes.c_uint64(value & 2**64 - 1) for value in arguments)
    )
    return -ctypes.get_errno() if result < 0 else result


def in_child(body: Callable[[], object], loaded: Filter | None) -> process.ExitStatus | None:
    """How a child of its own ends that runs `body` below a filter; what it raises is on standard error."""

    def run() -> int:
        if loaded is not None:
            set_mode_filter(loaded.program)
        body()
        return 0

    pidfd = forked.spawn(run)
    try:
        return process.wait_pidfd(pidfd, timeout_s=30)
    finally:
        os.close(pidfd)


def below(profile: str, body: Callable[[], object], *, nesting: bool = False) -> None:
    found = in_child(body, filters.named(profile, nesting=nesting))
    assert found == process.ExitStatus(status=0)


@pytest.mark.parametrize("profile", builtin.NAMES)
@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("io_uring_setup", (1, 0), errno.EPERM),
        ("bpf", (0, 0, 0), errno.EPERM),
        ("userfaultfd", (1,), errno.EPERM),
        ("perf_event_open", (0, 0, -1, -1, 0), errno.EPERM),
        ("init_module", (0, 0, 0), errno.EPERM),
        ("finit_module", (-1, 0, 0), errno.EPERM),
        ("delete_module", (0, 0), errno.EPERM),
        ("kexec_load", (0, 0, 0, 0), errno.EPERM),
        ("open_by_handle_at", (-1, 0, 0), errno.EPERM),
        ("swapon", (0, 0), errno.EPERM),
        ("acct", (0,), errno.EPERM),
        ("syslog", (10, 0, 0), errno.EPERM),
        ("settimeofday", (0, 0), errno.EPERM),
        ("keyctl", (0, -3, 0), errno.ENOSYS),
        ("add_key", (0, 0, 0, 0, 0), errno.ENOSYS),
        ("request_key", (0, 0, 0, 0), errno.ENOSYS),
        ("clone3", (0, 0), errno.ENOSYS),
        ("setns", (-1, 0), errno.EPERM),
        ("setns", (-1, CLONE_NEWNS), errno.EPERM),
        ("unshare", (CLONE_NEWUSER,), errno.EPERM),
        ("unshare", (CLONE_NEWTIME,), errno.EPERM),
        ("unshare", (CLONE_NEWUSER | 1 << 32,), errno.EPERM),
        ("clone", (CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0), errno.EPERM),
        ("clone", (CLONE_NEWNS | signal.SIGCHLD | 1 << 63, 0, 0, 0, 0), errno.EPERM),
        ("socket", (AF_ALG, socket.SOCK_SEQPACKET, 0), errno.EAFNOSUPPORT),
        ("socket", (AF_VSOCK, socket.SOCK_STREAM, 0), errno.EAFNOSUPPORT),
        ("socket", (AF_ALG | 1 << 32, socket.SOCK_SEQPACKET, 0), errno.EAFNOSUPPORT),
        ("personality", (0x0400000,), errno.EPERM),
        ("ioctl", (0, TIOCSTI, 0), errno.EPERM),
        ("ioctl", (0, TIOCSTI | 1 << 32, 0), errno.EPERM),
        ("ioctl", (0, TIOCSTI | 0xFFFFFFFF << 32, 0), errno.EPERM),
        ("ioctl", (0, TIOCLINUX, 0), errno.EPERM),
        ("ioctl", (0, TIOCLINUX | 1 << 63, 0), errno.EPERM),
        (600, (), errno.ENOSYS),
    ],
)
def test_a_refused_call_fails_with_its_errno(
    profile: str, name: str | int, arguments: tuple[int, ...], error: int
) -> None:
    def body() -> None:
        assert call(name, *arguments) == -error

    below(profile, body)


def test_what_is_refused_would_work_without() -> None:
    """Of the refusals that this kernel could otherwise not be told from: without a filter the calls get further."""

    def body() -> None:
        assert call("unshare", CLONE_NEWUSER) == 0
        assert call("setns", -1, 0) == -errno.EBADF
        assert call("clone3", 0, 0) == -errno.EINVAL
        assert call("personality", 0x0400000) == 0
        assert call("ioctl", -1, TIOCSTI, 0) == -errno.EBADF
        assert call("bpf", 0, 0, 0) != -errno.EPERM
        assert call("open_by_handle_at", -1, 0, 0) == -errno.EFAULT

    assert in_child(body, None) == process.ExitStatus(status=0)


@pytest.mark.parametrize("profile", builtin.NAMES)
def test_what_programs_do_all_day_is_allowed(profile: str) -> None:
    def body() -> None:
        socket.socket(socket.AF_INET6).close()
        for pair in (socket.socketpair(), os.pipe()):
            for end in pair:
                end.close() if isinstance(end, socket.socket) else os.close(end)
        assert call("personality", 0xFFFFFFFF) == 0
        assert call("unshare", CLONE_FILES) == 0
        assert call("prctl", 39, 0, 0, 0, 0) in {0, 1}
        assert os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1] == 0

    below(profile, body)


@pytest.mark.parametrize("profile", builtin.NAMES)
def test_threads_are_made_although_clone3_is_not_there(profile: str) -> None:
    def body() -> None:
        seen: list[int] = []
        threads = [threading.Thread(target=seen.append, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(seen) == [0, 1, 2, 3]

    below(profile, body)


def test_nesting_lets_a_zone_make_namespaces() -> None:
    def body() -> None:
        _pid, pidfd = process.clone(process.CLONE_NEWUSER | process.CLONE_NEWPID)
        if _pid == 0:
            os._exit(os.getpid() + 40)
        assert process.wait_pidfd(pidfd, timeout_s=30) == process.ExitStatus(status=41)
        assert call("unshare", CLONE_NEWNS) == 0
        assert call("setns", -1, 0) == -errno.EBADF
        assert call("bpf", 0, 0, 0) == -errno.EPERM

    below("default", body, nesting=True)


def test_audit_cannot_be_spoken_and_routes_can() -> None:
    def body() -> None:
        assert call("socket", socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_AUDIT) == -errno.EINVAL
        assert call("socket", socket.AF_NETLINK, socket.SOCK_RAW, 0) > 0

    below("default", body)


# ------------------------------------------------------------------------------------------------ other ABIs


def run_code(code: bytes) -> int:
    """Run a function of x86_64 instructions."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    first = ctypes.c_char.from_buffer(page)
    result: int = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(first))()
    return result


INT_0X80_GETPID = bytes.fromhex("53 b814000000 cd80 5b c3")
"""push %rbx; mov $20, %eax; int $0x80; pop %rbx; ret: getpid of i386."""


@X86_64
def test_a_call_of_i386_kills() -> None:
    def body() -> None:
        run_code(INT_0X80_GETPID)

    for profile in builtin.NAMES:
        assert in_child(body, filters.named(profile, nesting=False)) == SIGSYS


@X86_64
def test_a_call_of_i386_works_without_a_filter() -> None:
    def body() -> None:
        assert run_code(INT_0X80_GETPID) == os.getpid()

    # Without IA32_EMULATION there is no such call to refuse: it is a fault.
    assert in_child(body, None) in {process.ExitStatus(status=0), process.ExitStatus(signal=signal.SIGSEGV)}


@X86_64
@pytest.mark.parametrize("profile", builtin.NAMES)
def test_calls_of_x32_are_not_there(profile: str) -> None:
    def body() -> None:
        for number in (0, 1, 39, 59, 520, 547):
            assert call(number | X32_SYSCALL_BIT, 0, 0, 0) == -errno.ENOSYS

    below(profile, body)


# ------------------------------------------------------------------------------------------------ loading


def compiled(profile: Profile) -> bytes:
    return compiler.compile_profile(profile, architectures.native())


def test_loading_needs_a_right_or_no_new_privs() -> None:
    program = compiled(of_names("all", NUMBERS))

    def without() -> None:
        attributes.setresuid(65534, 65534, 65534)
        with pytest.raises(SyscallError) as caught:
            set_mode_filter(program)
        assert caught.value.errno == errno.EACCES
        attributes.set_no_new_privs()
        set_mode_filter(program)

    assert in_child(without, None) == process.ExitStatus(status=0)


@pytest.mark.parametrize("program", [b"", b"\0" * 8, b"\x06\0\0\0\0\0\0\0" * 4097])
def test_what_is_no_program_is_refused_by_the_kernel(program: bytes) -> None:
    def body() -> None:
        with pytest.raises(SyscallError) as caught:
            set_mode_filter(program)
        assert caught.value.errno == errno.EINVAL

    assert in_child(body, None) == process.ExitStatus(status=0)


def test_the_kernel_takes_every_form_that_the_compiler_writes() -> None:
    """Long jumps, all kinds of conditions, and the longest program."""
    conditions = [
        Condition(index, least, most, mask=mask, negated=negated)
        for index, (least, most) in enumerate(
            [(5, 5), (1 << 40, 1 << 41), (0, 9), (7, 2**64 - 1), (0, 2**64 - 1)]
        )
        for mask in (2**64 - 1, 2**32 - 1, 0xFF00FF00FF00FF)
        for negated in (False, True)
    ]
    rules = (*(Rule(fails(errno.EDOM), (each, each)) for each in conditions), Rule(ALLOW))
    profile = Profile(
        name="all forms",
        rules=dict.fromkeys(NUMBERS, (Rule(ALLOW),)) | dict.fromkeys(("getppid", "getpgid", "umask"), rules),
        otherwise=KILL,
    )

    def body() -> None:
        set_mode_filter(compiled(profile))
        arguments = (6, 0, 10, 3, 0)
        for name in ("getppid", "getpgid", "umask"):
            expected = profile.decide(architectures.native(), NUMBERS[name], (*arguments, 0))
            answer = call(name, *arguments)
            assert (answer == -errno.EDOM) == (expected == fails(errno.EDOM))

    assert in_child(body, None) == process.ExitStatus(status=0)


def test_arguments_are_compared_in_both_halves() -> None:
    rule = Rule(fails(errno.EDOM), (Condition(0, 1 << 32 | 5, 3 << 32 | 4),))
    loaded = Profile(name="t", rules={"getpgid": (rule, Rule(ALLOW))}, otherwise=ALLOW)
    values = [
        0,
        5,
        1 << 32,
        1 << 32 | 4,
        1 << 32 | 5,
        1 << 32 | 6,
        2 << 32,
        3 << 32 | 4,
        3 << 32 | 5,
        4 << 32 | 4,
    ]

    def body() -> None:
        set_mode_filter(compiled(loaded))
        refused = {value for value in values if call("getpgid", value) == -errno.EDOM}
        assert refused == {value for value in values if 1 << 32 | 5 <= value <= 3 << 32 | 4}

    assert in_child(body, None) == process.ExitStatus(status=0)


def test_a_second_filter_can_only_take_more_away() -> None:
    def body() -> None:
        set_mode_filter(compiled(Profile(name="open", rules={}, otherwise=ALLOW, unknown=ALLOW)))
        assert call("bpf", 0, 0, 0) == -errno.EPERM

    below("default", body)


def test_the_digest_is_that_of_what_the_kernel_has() -> None:
    """What the kernel gives back of a process is the program whose digest is shown."""
    found = filters.named("default", nesting=False)
    assert found.instructions == len(found.program) // 8
    assert EPERM.value == 0x50001
    status: list[str] = []

    def body() -> None:
        with open("/proc/self/status", encoding="ascii") as file:
            status.extend(line for line in file if line.startswith("Seccomp"))
        assert "Seccomp:\t2\n" in status
        assert "Seccomp_filters:\t1\n" in status

    assert in_child(body, found) == process.ExitStatus(status=0)
