"""What a default zone looks like from inside, as tools for looking around list it: expected word by word.

The golden file is written anew with ZONECTL_GOLDEN=1; what changes in it is a change of what zones are promised.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hostile.arms import ExecArm, HostArm, InitArm
from tests.hostile.scene import PLAIN_USER

if TYPE_CHECKING:
    from tests.hostile.arms import Arm
    from tests.hostile.scene import Scene

GOLDEN = Path(__file__).parent / "golden"
_HEADER = re.compile(r"#define __NR_(\w+) (\d+)")
_NAMES = {0: "chown", 1: "dac_override", 2: "dac_read_search", 3: "fowner", 4: "fsetid", 5: "kill", 6: "setgid",
          7: "setuid", 8: "setpcap", 9: "linux_immutable", 10: "net_bind_service", 11: "net_broadcast",
          12: "net_admin", 13: "net_raw", 14: "ipc_lock", 15: "ipc_owner", 16: "sys_module", 17: "sys_rawio",
          18: "sys_chroot", 19: "sys_ptrace", 20: "sys_pacct", 21: "sys_admin", 22: "sys_boot", 23: "sys_nice",
          24: "sys_resource", 25: "sys_time", 26: "sys_tty_config", 27: "mknod", 28: "lease", 29: "audit_write",
          30: "audit_control", 31: "setfcap"}  # fmt: skip
"""Of linux/capability.h, as far as a zone may have them; others would be listed as numbers."""

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the golden list of system calls is that of x86_64"
)


@pytest.mark.parametrize("way", ["init", "exec", "plain"])
def test_what_a_default_zone_lists(scene: Scene, way: str) -> None:
    done = arm_of(way, scene).execute("/probe/listing")
    assert done.code == 0, done.err
    host = HostArm(scene).execute(f"{scene.host_values['programs']}/listing")
    seen = worded(done.lines, absent={line for line in host.lines if line.endswith("ENOSYS")})
    path = GOLDEN / ("listing-plain.txt" if way == "plain" else "listing-root.txt")
    if os.environ.get("ZONECTL_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(seen, encoding="utf-8")
    assert seen == path.read_text(encoding="utf-8")


def arm_of(way: str, scene: Scene) -> Arm:
    if way == "init":
        return InitArm(scene, "default")
    return ExecArm(scene, scene.zone("default"), user=PLAIN_USER if way == "plain" else 0)


def worded(lines: list[str], *, absent: set[str]) -> str:
    """The listing with names for numbers, without the calls that are `absent` on this kernel."""
    names = call_names()
    told = []
    refused: dict[str, list[str]] = {}
    for line in lines:
        kind, *rest = line.split("\t")
        if kind.startswith("Cap"):
            told.append(f"{kind} {' '.join(capabilities(int(rest[0], 16))) or '-'}")
        elif kind == "call":
            number, errno = rest
            if int(number) in names and line not in absent:
                refused.setdefault(errno, []).append(names[int(number)])
        else:
            told.append(" ".join((kind, *rest)).strip())
    return (
        "\n".join((*told, *(f"{errno}: {' '.join(calls)}" for errno, calls in sorted(refused.items()))))
        + "\n"
    )


def capabilities(mask: int) -> list[str]:
    return [_NAMES.get(number, str(number)) for number in range(64) if mask >> number & 1]


def call_names() -> dict[int, str]:
    """The names of the numbers, by the headers that the listing was compiled with."""
    header = subprocess.run(
        ["gcc", "-E", "-dM", "-include", "asm/unistd.h", "-x", "c", "/dev/null"],
        check=True,
        capture_output=True,
        text=True,
    )
    return {int(number): name for name, number in _HEADER.findall(header.stdout)}
