"""A zone's users, looked up by the host's root: with whose rights, and what is not opened."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import ZonectlError
from zonectl.kernel import attributes
from zonectl.security import accounts

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.requires("root")


def test_a_user_is_looked_up_with_the_rights_of_the_zones_root(tmp_path: Path) -> None:
    passwd = tmp_path / "etc/passwd"
    passwd.parent.mkdir()
    passwd.write_text("web:x:33:33::/srv:/bin/sh\n")
    passwd.chmod(0o600)
    tmp_path.chmod(0o755)
    root = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    before = sorted(os.listdir("/proc/self/fd"))
    assert accounts.look_up("web", root).uid == 33
    with pytest.raises(ZonectlError, match="no user 'web'"):
        accounts.look_up("web", root, owner=3_000_000_000)
    os.chown(passwd, 3_000_000_000, 0)
    assert accounts.look_up("web", root, owner=3_000_000_000).uid == 33
    # And root is root again.
    assert sorted(os.listdir("/proc/self/fd")) == before
    (tmp_path / "file").touch()
    assert (tmp_path / "file").stat().st_uid == 0
    assert passwd.read_text()
    assert attributes.dumpable()
    os.close(root)


def test_a_device_in_the_place_of_passwd_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.mknod(tmp_path / "etc/passwd", stat.S_IFCHR | 0o666, os.makedev(5, 2))  # each opening makes a terminal
    root = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    before = os.stat("/proc/self/fd").st_nlink, set(os.listdir("/dev/pts"))
    assert accounts.look_up("root", root).home == "/root"
    assert before == (os.stat("/proc/self/fd").st_nlink, set(os.listdir("/dev/pts")))
    os.close(root)
