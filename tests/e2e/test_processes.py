"""What programs in zones start with, by the command alone; and the hardened example."""

from __future__ import annotations

import os
import re
import resource
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.instance import COMMAND
from tests.patience import until

if TYPE_CHECKING:
    from tests.e2e.instance import Zonectl

ME = "me:x:1000:1000::/home/me:/bin/sh"


def field(text: str, name: str) -> str:
    """A line of /proc/PID/status."""
    found = re.search(rf"^{name}:\s*(.*)$", text, re.MULTILINE)
    assert found, name
    return found[1]


def test_hardened(z: Zonectl) -> None:
    z.create("hardened")
    z("start", "hardened")
    pid = z.list()["hardened"]["pid"]
    of_init = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    of_exec = z.exec("hardened", "cat", "/proc/self/status").out
    for status in (of_init, of_exec):
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(field(status, name), 16) == 1 << 10  # CAP_NET_BIND_SERVICE
        assert field(status, "NoNewPrivs") == "1"
        assert field(status, "Umask") == "0077"
    for limits in (
        Path(f"/proc/{pid}/limits").read_text(encoding="ascii"),
        z.exec("hardened", "cat", "/proc/self/limits").out,
    ):
        assert re.search(r"^Max open files +64 +128 ", limits, re.MULTILINE)
        assert re.search(r"^Max core file size +1 +1 ", limits, re.MULTILINE)
        assert re.search(r"^Max address space +268435456 +268435456 ", limits, re.MULTILINE)
    assert Path(f"/proc/{pid}/oom_score_adj").read_text(encoding="ascii") == "500\n"
    assert os.getpriority(os.PRIO_PROCESS, pid) == 5
    assert os.sched_getscheduler(pid) == os.SCHED_BATCH
    # Port 80 is its own although it is nobody; and root of the zone has nothing that it has not.
    until(lambda: "404" in z.exec("hardened", "wget", "-O-", "http://127.0.0.1/none", code=None).err)
    assert z.exec("hardened", "ping", "-c1", "127.0.0.1", options=("-u", "root"), code=None).code != 0
    assert z("verify", z.file("hardened")).code == 0


def test_a_wish_that_cannot_be_had_is_refused_by_its_key(z: Zonectl) -> None:
    hard = resource.getrlimit(resource.RLIMIT_MSGQUEUE)[1]
    text = f'name = "greedy"\ncommand = ["/bin/true"]\n[root]\nimage = "busybox"\n[limits]\nmsgqueue = {hard + 1}\n'
    file = z.write("greedy", text)
    for verb in (("run",), ("--no-daemon", "run")):
        done = z(*verb, file, code=125)
        assert done.err.splitlines()[0].endswith(
            f"limits.msgqueue: {hard + 1} is above the hard limit, {hard}, and raising it needs CAP_SYS_RESOURCE"
        ), done.err
        assert done.err.splitlines()[1] == f"  set at most {hard}, or run zonectl with that capability"
    z.end_zoned()
    z.host.check()


@pytest.mark.parametrize("daemon", [True, False])
def test_nothing_of_whoever_starts_zoned_gets_into_a_zone(z: Zonectl, daemon: bool) -> None:
    """By zoned, which its first caller started, and without it."""
    odd = [
        "prlimit",
        "--cpu=1000:",
        "--fsize=1000000000:",
        "--core=0:",
        "--nofile=500:",
        "--stack=1000000:",
    ]
    odd += ["nice", "-n", "7", "taskset", "-c", "0", "ionice", "-c", "3", "choom", "-n", "250", "--"]
    words = [COMMAND, *([] if daemon else ["--no-daemon"]), "run", *z.sets, "busybox", "--"]
    script = (
        "cat /proc/self/limits; cut -d' ' -f18,19,41 /proc/self/stat; cat /proc/self/oom_score_adj; "
        "grep -e Cpus_allowed: -e Umask /proc/self/status"
    )
    usual = z.run("/bin/sh", "-c", script).out
    z.end_zoned()
    found = subprocess.run(
        [*odd, *words, "/bin/sh", "-c", script],
        env=z.environment,
        capture_output=True,
        check=True,
        timeout=60,
        umask=0o077,
    )
    assert found.stdout.decode() == usual
    assert re.search(r"^Max stack size +8388608 ", usual, re.MULTILINE)
    assert "\n20 0 0\n0\n" in usual
    if daemon:
        pid = int(z("zoned", "status").out.split()[-1])
        limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
        assert re.search(r"^Max cpu time +unlimited ", limits, re.MULTILINE)
        assert re.search(r"^Max file size +unlimited ", limits, re.MULTILINE)
        assert os.getpriority(os.PRIO_PROCESS, pid) == 0


def test_the_environment_is_declared(z: Zonectl) -> None:
    z.environment |= {"SECRET": "caller's", "LD_PRELOAD": "", "TZ": "Nowhere"}
    z.define("told", "env -0 >/tmp/env; sleep 1000 & wait $!", more='env = { GREETING = "hello\\nthere" }\n')
    z("start", "told")
    until(lambda: z.exec("told", "test", "-s", "/tmp/env", code=None).code == 0)
    known = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/root",
        "USER=root",
        "LOGNAME=root",
        "container=zonectl",
        "GREETING=hello\nthere",
    }
    # Busybox's shell adds where it is, which the program after it is told.
    own = {"PWD=/", "SHLVL=1", "OLDPWD=/"}
    assert set(z.exec("told", "cat", "/tmp/env").out.strip("\0").split("\0")) - own == known
    assert set(z.exec("told", "env", "-0").out.strip("\0").split("\0")) == known
    more = set(
        z.exec("told", "env", "-0", options=("-e", "EXTRA=1", "-e", "GREETING=bye"))
        .out.strip("\0")
        .split("\0")
    )
    assert more == (known - {"GREETING=hello\nthere"}) | {"EXTRA=1", "GREETING=bye"}


def test_a_shell_opens_in_the_home_of_its_user(z: Zonectl) -> None:
    z.define("homes", more='workdir = "/tmp"\n')
    z("start", "homes")
    z.exec("homes", "sh", "-c", f"mkdir -p /home/me && chown 1000 /home/me && echo '{ME}' >>/etc/passwd")
    assert z("shell", "-u", "me", "homes", input=b"pwd\n").out == "/home/me\n"
    assert z("shell", "homes", input=b"pwd\n").out == "/root\n"
    assert z.exec("homes", "pwd", options=("-u", "me")).out == "/tmp\n"
    z.exec("homes", "rmdir", "/home/me")
    assert z("shell", "-u", "me", "homes", input=b"pwd\n").out == "/\n"


def test_a_missing_program_behind_the_small_init_stops_the_start(z: Zonectl) -> None:
    text = 'name = "gone"\ninit = true\ncommand = ["{}"]\n[root]\nimage = "busybox"\n'
    assert z("run", z.write("gone", text.format("/no/such")), code=127).err.count("\n") == 1
    z("run", z.write("gone", text.format("/etc/passwd")), code=126)
    z("create", z.write("gone", text.format("no-such")))
    assert "No such file" in z("start", "gone", code=1).err
    assert z.state("gone") == "installed"
