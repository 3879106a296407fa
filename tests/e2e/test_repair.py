"""What somebody takes away from a running zone is seen, and put back, by the command."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from zonectl.model.instance import Instance, link_name

if TYPE_CHECKING:
    from tests.e2e.instance import Zonectl


def test_a_lost_firewall_and_a_lost_link(z: Zonectl) -> None:
    z.define("ill")
    z("start", "ill")
    assert z.list()["ill"]["degraded"] == []
    pid = z.list()["ill"]["pid"]
    table = Instance(root=str(z.root)).table
    subprocess.run(["nft", "delete", "table", "inet", table], check=True)
    subprocess.run(["ip", "link", "del", link_name(z.list()["ill"]["id"])], check=True)
    assert z.list()["ill"]["degraded"] == ["its link is gone"]
    assert z("list", "--no-headers").lines[0].split()[2] == "degraded"
    shown = z("show", "ill").out
    assert "  degraded    its link is gone" in shown
    assert "zonectl repair ill" in shown
    assert z("repair", "ill").out == "ill: mended: its link is gone\n"
    assert z.list()["ill"]["degraded"] == []
    assert z.list()["ill"]["state"] == "running"
    assert z.list()["ill"]["pid"] == pid
    assert z.exec("ill", "ping", "-c", "1", "-W", "2", f"{z.network}.1").code == 0
    assert z("repair", "ill").out == ""
    z("stop", "ill")
    assert "zonectl start ill" in z("repair", "ill", code=3).err


def test_wrong_words(z: Zonectl) -> None:
    assert z("repair", "nosuchzone", code=4).err == "zonectl: nosuchzone: no such zone\n"
    z("repair", code=2)
