"""Users and groups as a zone's own files name them: bounded, strict parsers, and no NSS.

The files belong to the zone, which is hostile: they are read with the rights of its root, through descriptors below
its root folder, up to a bound, and a line that is not one is passed over. Nothing but a regular file is opened. Ids are
strict (CVE-2024-40635), and a number never falls back to a name.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import SyscallError, ZonectlError
from zonectl.kernel import attributes, mount, path
from zonectl.model.ids import parse_id

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FILE_BYTES = 1 << 20
MAX_GROUPS = 64

_KERNELS_OWN = frozenset({mount.PROC_SUPER_MAGIC, mount.SYSFS_MAGIC, mount.CGROUP2_SUPER_MAGIC})


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whom a process runs as, in the zone's ids."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    name: str = ""
    home: str = "/"
    shell: str = "/bin/sh"


def look_up(text: str, root: int, *, owner: int = 0) -> Account:
    """The account that `text` ("name", "uid", "name:group", "uid:gid") means below the root descriptor `root`.

    Files are read as the host's user `owner`, who is root of the zone: a link in the zone must not show it the host's.

    Raises:
        ZonectlError: no such user or group in the zone, or an id that is not one.

    """
    user, _, group = text.partition(":")
    with _rights_of(owner):
        passwd, lines = _read(root, "etc/passwd"), _read(root, "etc/group")
    account = _numeric(user, passwd) if user[:1].isdigit() else _named(user, passwd)
    if not group:
        groups = _member_of(account, lines)
        return Account(
            uid=account.uid,
            gid=account.gid,
            groups=groups,
            name=account.name,
            home=account.home,
            shell=account.shell,
        )
    gid = _id(group) if group[:1].isdigit() else _group_id(group, lines)
    return Account(uid=account.uid, gid=gid, name=account.name, home=account.home, shell=account.shell)


def parse_passwd(text: str) -> list[Account]:
    """The accounts of a passwd(5) file; what is not a line of one is passed over."""
    accounts = []
    for fields in _lines(text, 7):
        name, _, uid, gid, _, home, shell = fields
        try:
            known = Account(uid=parse_id(uid), gid=parse_id(gid), name=name, home=home or "/", shell=shell)
        except ValueError:
            continue
        accounts.append(known)
    return accounts


def parse_group(text: str) -> list[tuple[str, int, tuple[str, ...]]]:
    """The groups of a group(5) file as name, id, members; what is not a line of one is passed over."""
    groups = []
    for fields in _lines(text, 4):
        try:
            groups.append((fields[0], parse_id(fields[2]), tuple(filter(None, fields[3].split(",")))))
        except ValueError:
            continue
    return groups


def _lines(text: str, length: int) -> Iterator[list[str]]:
    """The lines of so many fields, the first not empty. Nothing but a line feed ends one, as in the C library."""
    for line in text.split("\n"):
        fields = line.split(":")
        # A NUL could neither be in the program's environment nor be a folder's name.
        if len(fields) == length and fields[0] and "\0" not in line:
            yield fields


def _numeric(user: str, passwd: str) -> Account:
    uid = _id(user)
    known = (account for account in parse_passwd(passwd) if account.uid == uid)
    return next(known, Account(uid=uid, gid=0))


def _named(user: str, passwd: str) -> Account:
    for account in parse_passwd(passwd):
        if account.name == user:
            return account
    if user == "root":
        return Account(uid=0, gid=0, name="root", home="/root")
    msg = f"no user {user!r} in the zone's /etc/passwd"
    raise ZonectlError(msg)


def _group_id(group: str, lines: str) -> int:
    for name, gid, _ in parse_group(lines):
        if name == group:
            return gid
    msg = f"no group {group!r} in the zone's /etc/group"
    raise ZonectlError(msg)


def _member_of(account: Account, lines: str) -> tuple[int, ...]:
    if not account.name:
        return ()
    gids = {gid for _, gid, members in parse_group(lines) if account.name in members}
    return tuple(sorted(gids - {account.gid})[:MAX_GROUPS])


def _id(text: str) -> int:
    try:
        return parse_id(text)
    except ValueError as error:
        raise ZonectlError(str(error)) from error


def _read(root: int, name: str) -> str:
    """The text of a file of the zone's, up to the bound; empty where there is none that can be read."""
    try:
        place = path.open_in_root(root, name, os.O_PATH)
    except SyscallError:
        return ""
    try:
        return _contents(place).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(place)


def _contents(place: int) -> bytes:
    # A file of the kernel's is not one of the root's: reading some (/proc/kmsg) has effects, or never ends.
    if not stat.S_ISREG(os.fstat(place).st_mode) or mount.fs_magic(place) in _KERNELS_OWN:
        return b""
    # The very file that was looked at: to open a device has effects, too.
    descriptor = os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        content = bytearray()
        while more := os.read(descriptor, MAX_FILE_BYTES - len(content)):
            content += more
        return bytes(content)
    finally:
        os.close(descriptor)


@contextmanager
def _rights_of(owner: int) -> Iterator[None]:
    """Act on files as the user and group `owner`, without the capabilities that root has over files."""
    if not owner:
        yield
        return
    dumpable = attributes.dumpable()
    attributes.setfsgid(owner)
    try:
        attributes.setfsuid(owner)
        try:
            yield
        finally:
            attributes.setfsuid(0)
    finally:
        attributes.setfsgid(0)
        # Each change has taken it away (proc_pid(5)).
        attributes.set_dumpable(dumpable)
