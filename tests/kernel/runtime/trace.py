"""What strace(1) saw of a start, in the words of a plan.

The rules by which a trace is read, all of them:

1. A call that failed, and one that changes nothing (reads, close, dup, fcntl), is left out. So is what changes only
   zonectl's own notes: files below its state roots, and the worker's pipes and sockets. So are calls that only prepare
   the process itself: setsid, closing what it does not need, PR_SET_PDEATHSIG.
2. A descriptor stands for what it was opened as: a tree by its number in the order of arrival, a new file system by
   its type, a clone of a file as "bind", anything else by its path.
3. Paths below the staging folder's `root` are the zone's; others below the staging folder are relative to it.
   A process id in /proc becomes `self` or `<init>`.
4. Flags are sets, without those that close a descriptor on exec, that say "the descriptor itself", or that the C
   library's or our own clone adds for the thread's id.
5. Netlink messages count one by one, by type. Their contents are the network room's to test.
6. Calls of the same name and detail in a row count once: one PR_CAPBSET_DROP for each capability, and one prlimit64
   for each limit, whatever they are (tests/kernel/security says).
7. Where a plan gives no detail, or says whose it is ("of root", "of the profile default"), none is compared. A planned
   call with a `when` may be missing, and stands for its target's missing parents too.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zonectl.namespaces.steps.mounts import STAGING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from zonectl.model.steps import Call

REPOSITORY = Path(__file__).parents[3]
CALLS = (
    *("clone3", "clone", "vfork", "execve", "execveat", "setns", "unshare"),
    *(
        "open_tree",
        "move_mount",
        "fsopen",
        "fsconfig",
        "fsmount",
        "mount_setattr",
        "mount",
        "umount2",
        "pivot_root",
    ),
    *(
        "chroot",
        "chdir",
        "fchdir",
        "mkdir",
        "mkdirat",
        "symlinkat",
        "openat",
        "openat2",
        "write",
        "fchmod",
        "chown",
    ),
    *(
        "sethostname",
        "setdomainname",
        "setgroups",
        "setresgid",
        "setresuid",
        "umask",
        "personality",
        "prctl",
        "capset",
        "close_range",
    ),
    *("sendto", "recvmsg", "mknod", "mknodat", "unlink", "unlinkat", "rename", "renameat2", "link", "linkat"),
    *(
        "fchown",
        "fchownat",
        "fchmodat",
        "setxattr",
        "fsetxattr",
        "truncate",
        "ftruncate",
        "setrlimit",
        "prlimit64",
        "sched_setscheduler",
        "sched_setaffinity",
        "setpriority",
        "ioprio_set",
        "seccomp",
        "bpf",
        "keyctl",
    ),
)
_LINE = re.compile(r"(\d+) +(?:(\w+)\((.*)|<\.\.\. (\w+) resumed>(.*))")
_RETURNED = re.compile(r"(.*)\) += (-?\d+|0x[0-9a-f]+)(?:<([^>]*)>)?")
_DESCRIPTOR = re.compile(r"(AT_FDCWD|\d+)<(.*)>")
_MESSAGES = re.compile(r"nlmsg_type=(RTM_\w+|0x[0-9a-f]+)")
_OPTIONS = frozenset(
    {
        "PR_CAPBSET_DROP",
        "PR_SET_SECUREBITS",
        "PR_CAP_AMBIENT_CLEAR_ALL",
        "PR_CAP_AMBIENT_RAISE",
        "PR_SET_NO_NEW_PRIVS",
    }
)
"""Of prctl(2): those that a plan names."""
_MESSAGE_NAMES = {
    "0x10": "RTM_NEWLINK",
    "0x14": "RTM_NEWADDR",
    "0x18": "RTM_NEWROUTE",
    "0x1c": "RTM_NEWNEIGH",
    "0x20": "RTM_NEWRULE",
}
_NOT_COMPARED = frozenset(
    {
        *(
            "CLONE_CHILD_CLEARTID",
            "CLONE_CHILD_SETTID",
            "OPEN_TREE_CLOEXEC",
            "FSMOUNT_CLOEXEC",
            "AT_EMPTY_PATH",
        ),
        *("AT_SYMLINK_NOFOLLOW", "0", "O_CLOEXEC", "O_NOFOLLOW"),
    }
)


@dataclass(frozen=True)
class Raw:
    """One call as strace shows it, finished."""

    pid: int
    name: str
    arguments: tuple[str, ...]
    result: int
    path: str


@dataclass(frozen=True)
class Seen:
    """One call in the words of a plan."""

    name: str
    target: str
    detail: str = ""


@dataclass
class Trace:
    """A whole trace: the worker's calls and those of the init that it made."""

    raw: list[Raw]

    @property
    def worker(self) -> int:
        """The process that was traced first."""
        return self.raw[0].pid

    @property
    def init(self) -> int:
        """The process that was born in a pid namespace of its own."""
        return next(
            raw.result for raw in self.raw if raw.name == "clone3" and "CLONE_NEWPID" in raw.arguments[0]
        )

    @property
    def maker(self) -> int:
        """The process that has made init."""
        return next(
            raw.pid for raw in self.raw if raw.name == "clone3" and "CLONE_NEWPID" in raw.arguments[0]
        )

    def of(self, pid: int) -> list[Raw]:
        """The calls of one process, in order."""
        return [raw for raw in self.raw if raw.pid == pid]


def record(argv: Sequence[str], output: Path, *, calls: Sequence[str] = CALLS) -> Trace:
    """Trace the driver (`tests.kernel.runtime.driver`) with `argv`, and all that it starts, to the end of the last."""
    command = ["strace", "-f", "-y", "-s", "65536", "-e", f"trace={','.join(calls)}", "-e", "signal=none"]
    driver = [sys.executable, "-m", "tests.kernel.runtime.driver", *argv]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        [*command, "-o", str(output), "--", *driver], check=True, cwd=REPOSITORY, env=env, timeout=60
    )
    return Trace(list(_finished(output.read_text(errors="replace").splitlines())))


def _finished(lines: Iterable[str]) -> Iterable[Raw]:
    begun: dict[str, tuple[str, str]] = {}
    for line in lines:
        found = _LINE.match(line)
        if not found:
            continue
        pid, name, rest = found[1], found[2], found[3]
        if found[4]:
            name, head = begun.pop(pid)
            rest = head + found[5]
        elif rest.endswith("<unfinished ...>"):
            begun[pid] = (name, rest.removesuffix("<unfinished ...>").rstrip())
            continue
        if returned := _RETURNED.match(rest):
            yield Raw(int(pid), name, _split(returned[1]), _number(returned[2]), returned[3] or "")


def _number(text: str) -> int:
    return int(text, 16) if text.startswith("0x") else int(text)


def _split(text: str) -> tuple[str, ...]:
    """The arguments of a call: commas inside of strings and brackets do not count."""
    parts, depth, quoted, start, at = [], 0, False, 0, 0
    while at < len(text):
        char = text[at]
        if quoted:
            at += char == "\\"
            quoted = char != '"'
        elif char == '"':
            quoted = True
        elif char in "[{(":
            depth += 1
        elif char in "]})":
            depth -= 1
        elif char == "," and not depth:
            parts.append(text[start:at].strip())
            start = at + 1
        at += 1
    return (*parts, text[start:].strip()) if text else ()


def words(text: str) -> str:
    """The text of a string argument."""
    return ast.literal_eval(f"b{text}").decode(errors="replace") if text.startswith('"') else text


def flags(text: str) -> str:
    """Flags in a fixed order (rule 4)."""
    return "|".join(sorted(set(text.split("|")) - _NOT_COMPARED))


@dataclass
class Reader:
    """Reads one process's calls. `own` are zonectl's state roots."""

    own: tuple[str, ...]
    inside: bool
    origins: dict[int, str] = field(default_factory=dict)
    trees: int = 0

    def read(self, calls: Iterable[Raw]) -> list[Seen]:
        """What the process did."""
        seen: list[Seen] = []
        for raw in calls:
            reader: Callable[[Raw], Iterable[Seen]] | None = getattr(self, f"_{raw.name}", None)
            if reader is None or raw.result < 0:
                continue
            for found in reader(raw):
                if (
                    not seen
                    or (found.name, found.detail) != (seen[-1].name, seen[-1].detail)
                    or _by_itself(found)
                ):
                    seen.append(found)
        return seen

    def _place(self, path: str) -> str:
        if self.inside and (path == f"{STAGING}/root" or path.startswith(f"{STAGING}/root/")):
            return path.removeprefix(f"{STAGING}/root") or "/"
        if self.inside and path.startswith(f"{STAGING}/"):
            return path.removeprefix(f"{STAGING}/")
        return re.sub(r"^/proc/\d+/", "/proc/self/" if self.inside else "/proc/<init>/", path)

    def _path(self, at: str, name: str = '""') -> str:
        if at.startswith("AT_FDCWD") and words(name) and self.inside and not words(name).startswith("/"):
            return words(name)  # the staging folder is where init works
        found = _DESCRIPTOR.fullmatch(at)
        folder = found[2] if found else ""
        return self._place(os.path.join(folder, words(name)) if words(name) else folder)

    def _origin(self, at: str) -> str:
        found = _DESCRIPTOR.fullmatch(at)
        assert found, at
        return self.origins.get(int(found[1])) or self._place(found[2])

    def _is_own(self, path: str) -> bool:
        return path.startswith(self.own)

    @property
    def _who(self) -> str:
        return "init" if self.inside else "maker"

    def _recvmsg(self, raw: Raw) -> Iterable[Seen]:
        said = ", ".join(raw.arguments)
        if "TREES" in said and (passed := re.search(r"SCM_RIGHTS, cmsg_data=\[([^\]]*)\]", said)):
            for number in re.findall(r"(\d+)<", passed[1]):
                self.origins[int(number)] = f"tree {self.trees}"
                self.trees += 1
        return ()

    def _clone3(self, raw: Raw) -> Iterable[Seen]:
        found = re.search(r"flags=([\w|]+)", raw.arguments[0])
        assert found
        if "CLONE_VFORK" not in found[1]:  # posix_spawn(3)
            yield Seen("clone3", "init", flags(found[1]))

    def _clone(self, raw: Raw) -> Iterable[Seen]:
        found = re.search(r"flags=([\w|]+)", ", ".join(raw.arguments))
        assert found
        yield Seen("clone", "a process that waits", flags(found[1]))

    def _setns(self, raw: Raw) -> Iterable[Seen]:
        if self.inside:
            yield Seen("setns", "init", flags(raw.arguments[1]))

    def _mknodat(self, raw: Raw) -> Iterable[Seen]:
        path = self._path(*raw.arguments[:2])
        if not self._is_own(path):
            yield Seen("mknodat", path)

    def _fchownat(self, raw: Raw) -> Iterable[Seen]:
        path = self._path(*raw.arguments[:2])
        if not self._is_own(path):
            yield Seen("fchownat", path, ":".join(raw.arguments[2:4]))

    def _fchmodat(self, raw: Raw) -> Iterable[Seen]:
        path = self._path(*raw.arguments[:2])
        if not self._is_own(path):
            yield Seen("fchmodat", path, raw.arguments[2])

    def _setdomainname(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("setdomainname", words(raw.arguments[0]))

    def _bpf(self, raw: Raw) -> Iterable[Seen]:
        command, given = raw.arguments[0], raw.arguments[1]
        if command == "BPF_PROG_LOAD":
            found = re.search(r"prog_type=(\w+)", given)
            assert found
            yield Seen("bpf", "a device program", f"{command} {found[1]}")
        if command == "BPF_PROG_ATTACH":
            found = re.search(r"target_fd=\d+<([^>]*)>.*attach_type=(\w+)", given)
            assert found
            yield Seen("bpf", found[1], f"{command} {found[2]}")

    def _open_tree(self, raw: Raw) -> Iterable[Seen]:
        at, name, how = raw.arguments
        path = self._path(at, name)
        self.origins[raw.result] = "bind" if self.inside else path
        yield Seen("open_tree", path, flags(how))

    def _mount_setattr(self, raw: Raw) -> Iterable[Seen]:
        found = re.search(r"attr_set=([\w|]+)", raw.arguments[3])
        assert found
        yield Seen("mount_setattr", self._origin(raw.arguments[0]), flags(found[1]))

    def _move_mount(self, raw: Raw) -> Iterable[Seen]:
        source, _, at, name, _ = raw.arguments
        yield Seen("move_mount", self._path(at, name), self._origin(source))

    def _fsopen(self, raw: Raw) -> Iterable[Seen]:
        self.origins[raw.result] = words(raw.arguments[0])
        yield Seen("fsopen", words(raw.arguments[0]))

    def _fsconfig(self, raw: Raw) -> Iterable[Seen]:
        at, command, key, value, _ = raw.arguments
        match command:
            case "FSCONFIG_SET_STRING":
                detail = f"{words(key)}={words(value)}"
            case "FSCONFIG_SET_FLAG":
                detail = words(key)
            case _:
                detail = "create"
        yield Seen("fsconfig", self._origin(at), detail)

    def _fsmount(self, raw: Raw) -> Iterable[Seen]:
        fstype = self._origin(raw.arguments[0])
        self.origins[raw.result] = fstype
        yield Seen("fsmount", fstype, flags(raw.arguments[2]))

    def _mount(self, raw: Raw) -> Iterable[Seen]:
        _, target, fstype, how, data = raw.arguments
        new = fstype.startswith('"') and words(fstype)
        detail = f"{words(fstype)} {how} {words(data)}" if new else flags(how)
        yield Seen("mount", words(target), detail)

    def _umount2(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("umount2", words(raw.arguments[0]), raw.arguments[1])

    def _pivot_root(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("pivot_root", words(raw.arguments[0]), words(raw.arguments[1]))

    def _chroot(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("chroot", words(raw.arguments[0]))

    def _chdir(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("chdir", words(raw.arguments[0]))

    def _fchdir(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("fchdir", self._path(raw.arguments[0]))

    def _mkdir(self, raw: Raw) -> Iterable[Seen]:
        path = words(raw.arguments[0])
        if not self._is_own(path):
            yield Seen("mkdir", path, raw.arguments[1] if not self.inside else "")

    def _mkdirat(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("mkdirat", self._path(*raw.arguments[:2]))

    def _symlinkat(self, raw: Raw) -> Iterable[Seen]:
        to, at, name = raw.arguments
        yield Seen("symlinkat", self._path(at, name), words(to))

    def _openat(self, raw: Raw) -> Iterable[Seen]:
        at, name, how, *_ = raw.arguments
        path = self._path(at, name)
        self.origins.pop(raw.result, None)
        if "O_CREAT" in how and not self._is_own(path):
            yield Seen("openat", path, "O_CREAT|O_EXCL" if "O_EXCL" in how else how)
        elif path.startswith("/proc/sys/") and "O_WRONLY" in how:
            yield Seen("openat", path, "O_WRONLY")

    def _openat2(self, raw: Raw) -> Iterable[Seen]:
        self.origins.pop(raw.result, None)
        return ()

    def _write(self, raw: Raw) -> Iterable[Seen]:
        path = self._path(raw.arguments[0])
        if path.startswith(("/proc/", "/sys/", "files/")):
            yield Seen("write", path, words(raw.arguments[1]))

    def _fchmod(self, raw: Raw) -> Iterable[Seen]:
        path = self._path(raw.arguments[0])
        if not self._is_own(path):
            yield Seen("fchmod", path, raw.arguments[1])

    def _chown(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("chown", words(raw.arguments[0]), ":".join(raw.arguments[1:]))

    def _sethostname(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("sethostname", words(raw.arguments[0]))

    def _unshare(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("unshare", "init", raw.arguments[0])

    def _setgroups(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("setgroups", "init", "none" if raw.arguments[0] == "0" else raw.arguments[1])

    def _setresgid(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("setresgid", "init", ", ".join(raw.arguments))

    def _setresuid(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("setresuid", self._who, ", ".join(raw.arguments))

    def _personality(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("personality", "init", raw.arguments[0])

    def _umask(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("umask", "init", f"{int(raw.arguments[0], 8):04o}")

    def _prctl(self, raw: Raw) -> Iterable[Seen]:
        option = raw.arguments[1] if raw.arguments[0] == "PR_CAP_AMBIENT" else raw.arguments[0]
        if option in _OPTIONS:
            yield Seen("prctl", "init", option)

    def _capset(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("capset", self._who, raw.arguments[1])

    def _seccomp(self, raw: Raw) -> Iterable[Seen]:
        if raw.arguments[0] == "SECCOMP_SET_MODE_FILTER":
            yield Seen("seccomp", "init", raw.arguments[0])

    def _prlimit64(self, raw: Raw) -> Iterable[Seen]:
        if raw.arguments[2] != "NULL":
            yield Seen("prlimit64", "init")

    def _keyctl(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("keyctl", "init", raw.arguments[0])

    def _sched_setscheduler(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("sched_setscheduler", "init", raw.arguments[1])

    def _sched_setaffinity(self, _raw: Raw) -> Iterable[Seen]:
        yield Seen("sched_setaffinity", "init")

    def _setpriority(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("setpriority", "init", raw.arguments[2])

    def _ioprio_set(self, raw: Raw) -> Iterable[Seen]:
        found = re.search(r"IOPRIO_CLASS_\w+", ", ".join(raw.arguments))
        assert found
        yield Seen("ioprio_set", "init", found[0])

    def _close_range(self, raw: Raw) -> Iterable[Seen]:
        if raw.arguments[2] == "CLOSE_RANGE_CLOEXEC":
            first, last, how = raw.arguments
            yield Seen("close_range", "init", f"{first}, {'~0' if last == str(2**32 - 1) else last}, {how}")

    def _execve(self, raw: Raw) -> Iterable[Seen]:
        if words(raw.arguments[0]).endswith("/zonectl-entry"):
            yield Seen("execve", "zonectl-entry")
            return
        yield Seen("execve", words(raw.arguments[0]), _argv(raw.arguments[1]))

    def _execveat(self, raw: Raw) -> Iterable[Seen]:
        yield Seen("execveat", os.path.basename(self._path(raw.arguments[0])), _argv(raw.arguments[2]))

    def _sendto(self, raw: Raw) -> Iterable[Seen]:
        for message in _MESSAGES.findall(raw.arguments[1]):
            name = _MESSAGE_NAMES.get(message, message)
            if name.startswith(("RTM_NEW", "RTM_DEL")):
                yield Seen("sendto", f"NETLINK_ROUTE {name}", f"#{id(raw)}")


def _argv(text: str) -> str:
    return " ".join(words(word) for word in _split(text.strip("[]")))


def _by_itself(found: Seen) -> bool:
    """Whether the call counts each time (all but rule 6)."""
    return found.name not in {"prctl", "prlimit64"}


def of_start(trace: Trace, *, own: tuple[str, ...]) -> list[Seen]:
    """What worker, its children and init did, in the order of a plan: the host's part, then the inside's."""
    children = {raw.result for raw in trace.of(trace.worker) if raw.name == "vfork"}
    made = {"execve", "setresuid", "capset", "clone3"}
    worker = [
        raw
        for raw in trace.raw
        if raw.pid == trace.worker
        or (raw.pid in children and raw.name == "execve")
        or (raw.pid == trace.maker and raw.name in made)
    ]
    host = Reader(own=own, inside=False).read(worker[1:])  # the first is the driver's own execve
    init = Reader(own=own, inside=True).read(trace.of(trace.init))
    # What the program calls is its own affair.
    last = next(index for index, seen in enumerate(init) if seen.name.startswith("execve"))
    return [*host, *init[: last + 1]]


def differences(planned: Iterable[Call], seen: Sequence[Seen]) -> tuple[str, list[Call]]:
    """Where plan and trace part, in words, "" where they do not; and the optional calls that were not made."""
    at, left_out = 0, []
    for call in planned:
        if call.when:
            while at < len(seen) and _is_on_the_way(call, seen[at]):
                at += 1
            if at < len(seen) and _is(call, seen[at]):
                at += 1
            else:
                left_out.append(call)
            continue
        if at == len(seen) or not _is(call, seen[at]):
            around = "\n".join(f"    {found}" for found in seen[max(at - 3, 0) : at + 3])
            return f"planned:\n    {call}\nseen, from three calls before:\n{around}", left_out
        at += 1
    if at < len(seen):
        return "not planned:\n" + "\n".join(f"    {found}" for found in seen[at : at + 8]), left_out
    return "", left_out


def _is(call: Call, seen: Seen) -> bool:
    if call.name != seen.name:
        return False
    if call.name == "sendto" or call.target == "nft":
        return os.path.basename(seen.target) == os.path.basename(call.target)
    if call.target != seen.target:
        return False
    compared = call.detail and not call.detail.startswith("of ")
    return not compared or _in_order(call) == seen.detail


def _is_on_the_way(call: Call, seen: Seen) -> bool:
    """Whether a parent of the call's target is made (rule 7)."""
    above = call.target.startswith(seen.target.rstrip("/") + "/")
    return above and seen.name in {"mkdirat", "fchmod"} and call.name in {"mkdirat", "openat"}


def _in_order(call: Call) -> str:
    flagged = {"clone3", "clone", "setns", "open_tree", "mount_setattr", "fsmount"}
    is_flags = call.name in flagged or (call.name == "mount" and " " not in call.detail)
    return flags(call.detail) if is_flags else call.detail
