"""The script of a zone's init: the calls that it is to make, one by one, packed for native/assembly.c.

Descriptors are numbers of registers: those of the trees that the worker sends (`tree`), and those that calls open
(`descriptor`). A call that is given `when` is made if the one that noted that condition did not fail.
"""

from __future__ import annotations

import os
import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from zonectl.errors import ZonectlError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MAGIC: Final = 0x5A4F4E45
FORMAT: Final = 2
"""Of both documents that zonectl-entry reads: the script, and the order of runtime/entry.py."""

HERE: Final = 0xFFFFFFFF
"""In the place of a register: the working folder."""

_FIRST_TREE: Final = 1 << 16
_MOST_OPENED: Final = 64
_MOST_CONDITIONS: Final = 256
_ALWAYS: Final = 0


class _Code(IntEnum):
    """Places in `calls` of native/assembly.c."""

    STEP = 0
    AWAIT_TREES = 1
    AWAIT_LINKS = 2
    UNSHARE = 3
    SHIFT_CLOCKS = 4
    ENTER_SCAFFOLD = 5
    LOCK_MOUNTS = 6
    HOST_NAME = 7
    DOMAIN_NAME = 8
    MOUNT = 9
    UNMOUNT = 10
    CHANGE_FOLDER = 11
    ENTER = 12
    PIVOT = 13
    CHANGE_ROOT = 14
    MAKE_FOLDER = 15
    MAKE_LINK = 16
    MAKE_FILE = 17
    OPEN = 18
    CLONE = 19
    MOVE = 20
    SEAL = 21
    FILESYSTEM = 22
    CLOSE = 23
    FOLDER = 24
    FILE = 25
    FIND = 26
    PLACE_TREE = 27
    PLACE_NODE = 28
    POINT = 29
    WRITE = 30
    SET = 31
    ASK = 32
    ENTER_CLOCKS = 33


_HEAD: Final = struct.Struct("=3I")
_U32: Final = struct.Struct("=I")
_U64: Final = struct.Struct("=Q")
_START: Final = _U32.pack(MAGIC) + _U32.pack(FORMAT)
_NUL: Final = b"\0"


class Script:
    """Calls in the order in which they were asked for; the arguments are those of the system calls."""

    def __init__(self) -> None:
        self._parts: list[bytes] = [_START]
        self._free = list(range(_MOST_OPENED - 1, -1, -1))
        self._conditions = 0
        self._root: int | None = None
        self.kernel_mounts: dict[str, int] = {}
        """By target, the registers of the mounts in which paths are masked."""

    def packed(self) -> bytes:
        """The whole of it."""
        return b"".join(self._parts)

    # registers -------------------------------------------------------------------------------------------------

    def descriptor(self) -> int:
        """A register that is free until `close`."""
        if not self._free:
            msg = "a script of init opens too much at once"
            raise ZonectlError(msg)
        return self._free.pop()

    @staticmethod
    def tree(slot: int) -> int:
        """The register of the tree number `slot`."""
        return _FIRST_TREE + slot

    def condition(self) -> int:
        """A new condition, which does not hold."""
        self._conditions += 1
        if self._conditions >= _MOST_CONDITIONS:
            msg = "a script of init has too many conditions"
            raise ZonectlError(msg)
        return self._conditions

    def root(self) -> int:
        """The register of the root on its staging folder, opened when it is first asked for: once it is mounted."""
        if self._root is None:
            self._root = self.descriptor()
            self.open(self._root, HERE, "root")
        return self._root

    # what init waits for, and says ----------------------------------------------------------------------------

    def step(self, summary: str) -> None:
        """What follows is called that in an error."""
        self._add(_Code.STEP, _text(summary))

    def await_trees(self, count: int) -> None:
        """Wait for the trees."""
        self._add(_Code.AWAIT_TREES, _U32.pack(count))

    def await_links(self) -> None:
        """Wait until the zone has its links."""
        self._add(_Code.AWAIT_LINKS)

    # init itself -----------------------------------------------------------------------------------------------

    def unshare(self, flags: int) -> None:
        """unshare(2)."""
        self._add(_Code.UNSHARE, _U32.pack(flags))

    def shift_clocks(self, offsets: str) -> None:
        """Write /proc/self/timens_offsets; time_namespaces(7)."""
        self._add(_Code.SHIFT_CLOCKS, _text(offsets))

    def enter_clocks(self) -> None:
        """setns(2) to the time namespace that was made."""
        self._add(_Code.ENTER_CLOCKS)

    def enter_scaffold(self) -> None:
        """Enter a mount namespace of a user namespace below this one."""
        self._add(_Code.ENTER_SCAFFOLD)

    def lock_mounts(self) -> None:
        """Copy the scaffold's mounts into a namespace of its own."""
        self._add(_Code.LOCK_MOUNTS)

    def host_name(self, name: str) -> None:
        """sethostname(2)."""
        self._add(_Code.HOST_NAME, _text(name))

    def domain_name(self, name: str) -> None:
        """setdomainname(2)."""
        self._add(_Code.DOMAIN_NAME, _text(name))

    # mounts and folders ----------------------------------------------------------------------------------------

    def mount(
        self,
        source: str | None,
        target: str,
        fstype: str | None = None,
        flags: int = 0,
        data: str | None = None,
        *,
        notes: int = _ALWAYS,
        when: int = _ALWAYS,
    ) -> None:
        """mount(2). With `notes`, ENOENT is no failure, and the condition is whether there was none."""
        arguments = (
            _U32.pack(notes),
            _maybe(source),
            _text(target),
            _maybe(fstype),
            _U64.pack(flags),
            _maybe(data),
        )
        self._add(_Code.MOUNT, *arguments, when=when)

    def unmount(self, name: str, flags: int = 0) -> None:
        """umount2(2)."""
        self._add(_Code.UNMOUNT, _text(name), _U32.pack(flags))

    def change_folder(self, path: str) -> None:
        """chdir(2)."""
        self._add(_Code.CHANGE_FOLDER, _text(path))

    def enter(self, folder: int) -> None:
        """fchdir(2)."""
        self._add(_Code.ENTER, _U32.pack(folder))

    def pivot(self) -> None:
        """pivot_root(2) of the working folder over itself."""
        self._add(_Code.PIVOT)

    def change_root(self, path: str) -> None:
        """chroot(2)."""
        self._add(_Code.CHANGE_ROOT, _text(path))

    def make_folder(self, folder: int, name: str, mode: int) -> None:
        """mkdirat(2)."""
        self._add(_Code.MAKE_FOLDER, _U32.pack(folder), _text(name), _U32.pack(mode))

    def make_link(self, folder: int, name: str, to: str) -> None:
        """symlinkat(2)."""
        self._add(_Code.MAKE_LINK, _U32.pack(folder), _text(name), _text(to))

    def make_file(self, folder: int, name: str, text: str, mode: int) -> None:
        """A new file of exactly that mode."""
        self._add(_Code.MAKE_FILE, _U32.pack(folder), _text(name), _U32.pack(mode), _text(text))

    def open(self, to: int, folder: int, path: str) -> None:
        """A folder of ours (O_PATH) into the register `to`."""
        self._add(_Code.OPEN, _U32.pack(to), _U32.pack(folder), _text(path))

    def clone(self, to: int, folder: int, path: str = "", *, when: int = _ALWAYS) -> None:
        """open_tree(2) with OPEN_TREE_CLONE; an empty path means the descriptor itself."""
        self._add(_Code.CLONE, _U32.pack(to), _U32.pack(folder), _text(path), when=when)

    def move(self, mount: int, to: int, path: str = "", *, when: int = _ALWAYS) -> None:
        """move_mount(2); an empty path means the descriptor itself."""
        self._add(_Code.MOVE, _U32.pack(mount), _U32.pack(to), _text(path), when=when)

    def seal(self, mount: int, *, when: int = _ALWAYS) -> None:
        """mount_setattr(2) with MOUNT_ATTR_RDONLY."""
        self._add(_Code.SEAL, _U32.pack(mount), when=when)

    def filesystem(
        self, to: int, fstype: str, options: Collection[tuple[str, str]], attributes: int, *, magic: int = 0
    ) -> None:
        """A new, detached file system; an option without a value is a flag. It must be of the kind `magic`, if any."""
        numbers = (_U32.pack(attributes), _U32.pack(len(options)), _U64.pack(magic))
        words = (_text(word) for option in options for word in option)
        self._add(_Code.FILESYSTEM, _U32.pack(to), _text(fstype), *numbers, *words)

    def close(self, *registers: int) -> None:
        """Close descriptors that a call has opened; the registers are free again."""
        for register in registers:
            self._add(_Code.CLOSE, _U32.pack(register))
            self._free.append(register)

    # in a root that is not trusted -----------------------------------------------------------------------------

    def folder(self, to: int, path: str, *, plain: bool) -> None:
        """The folder `path` of the root, made where it is missing; `plain`: no link may lead there."""
        self._add(_Code.FOLDER, _U32.pack(to), _U32.pack(self.root()), _text(path), _U32.pack(plain))

    def file(self, to: int, path: str, mode: int, *, notes: int = _ALWAYS) -> None:
        """The file `path` of the root, made where it is missing. With `notes`, a dangling link is passed over."""
        self._add(
            _Code.FILE, _U32.pack(to), _U32.pack(self.root()), _text(path), _U32.pack(mode), _U32.pack(notes)
        )

    def find(self, to: int, path: str, *, notes: int, when: int = _ALWAYS) -> None:
        """The folder `path` of the root to which no link leads; the condition holds, from now on, if there is one."""
        root = _U32.pack(self.root())
        self._add(_Code.FIND, _U32.pack(to), root, _text(path), _U32.pack(notes), when=when)

    def place_tree(self, tree: int, path: str, *, plain: bool) -> None:
        """Mount a tree at `path` of the root: a folder's place is a folder, a file's a file."""
        root = _U32.pack(self.root())
        self._add(_Code.PLACE_TREE, root, _U32.pack(tree), _text(path), _U32.pack(plain))

    def place_node(self, folder: int, path: str, name: str, number: tuple[int, int]) -> None:
        """Mount the host's character device `path`, which must have that number, at `name` of `folder`."""
        numbers = (_U32.pack(each) for each in number)
        self._add(_Code.PLACE_NODE, _U32.pack(folder), _text(path), _text(name), *numbers)

    def point(self, root: int, path: str, kind: str | int) -> None:
        """Make what will be mounted on: a "folder", a "file", or what that tree is."""
        number, known = (HERE, _U32.pack(kind == "folder")) if isinstance(kind, str) else (kind, b"")
        self._add(_Code.POINT, _U32.pack(root), _U32.pack(number), _text(path), known)

    # settings and the network ----------------------------------------------------------------------------------

    def write(self, path: str, value: str, *, unless_without: str = "") -> None:
        """Write a setting of /proc; where it is missing, all is well if `unless_without` is, too."""
        self._add(_Code.WRITE, _text(path), _text(value), _text(unless_without))

    def set(self, procfs: int, name: str, value: str, refusals: Iterable[str]) -> None:
        """Write a setting below the folder `procfs`. `refusals`: it is missing, forbidden, or the value is refused."""
        self._add(_Code.SET, _U32.pack(procfs), _text(name), _text(value), *map(_text, refusals))

    def ask(self, call: str, subject: str, request: bytes, *, link: str = "") -> None:
        """Send a netlink request; `link`'s number is written over the four bytes behind the first four of its body."""
        self._add(_Code.ASK, _text(call), _text(subject), _text(link), _U32.pack(len(request)), request)

    def _add(self, code: _Code, *arguments: bytes, when: int = _ALWAYS) -> None:
        body = b"".join(arguments)
        self._parts.append(_HEAD.pack(code, when, len(body)))
        self._parts.append(body)


def _text(text: str) -> bytes:
    raw = os.fsencode(text)
    if _NUL in raw:
        msg = f"no system call takes a text with a NUL in it: {text!r}"
        raise ZonectlError(msg)
    return _U32.pack(len(raw)) + raw + _NUL


def _maybe(text: str | None) -> bytes:
    return _U32.pack(0) if text is None else _U32.pack(1) + _text(text)
