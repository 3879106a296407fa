"""Users and groups as a zone's own files name them: bounded, strict parsers, and no NSS.

The files belong to the zone, which is hostile: they are read through descriptors below its root, up to a bound, and a
line that is not one is passed over. Ids are strict (CVE-2024-40635), and a number never falls back to a name.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import SyscallError, ZonectlError
from zonectl.kernel import mount, path
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


def look_up(text: str, root: int) -> Account:
    """The account that `text` ("name", "uid", "name:group", "uid:gid") means below the root descriptor `root`.

    Raises:
        ZonectlError: no such user or group in the zone, or an id that is not one.

    """
    user, _, group = text.partition(":")
    passwd = _read(root, "etc/passwd")
    account = _numeric(user, passwd) if user[:1].isdigit() else _named(user, passwd)
    lines = _read(root, "etc/group")
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
        descriptor = path.open_in_root(root, name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except SyscallError:
        return ""
    try:
        return _contents(descriptor).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _contents(descriptor: int) -> bytes:
    # A file of the kernel's is not one of the root's: reading some (/proc/kmsg) has effects, or never ends.
    if not stat.S_ISREG(os.fstat(descriptor).st_mode) or mount.fs_magic(descriptor) in _KERNELS_OWN:
        return b""
    content = bytearray()
    while more := os.read(descriptor, MAX_FILE_BYTES - len(content)):
        content += more
    return bytes(content)
