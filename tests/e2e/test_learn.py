"""learn: what it prints is what the workload needs, and each part of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.patience import until

if TYPE_CHECKING:
    from tests.e2e.instance import Done, Zonectl

pytestmark = pytest.mark.requires("seccomp:trace")

QUIET = ("--set", "network.mode=none")


class Learned:
    """What one `learn` has printed and written."""

    def __init__(self, z: Zonectl, done: Done) -> None:
        self.z = z
        self.text = done.out
        self.table: dict[str, Any] = tomllib.loads(done.out)["security"]
        self.path = Path(self.table["seccomp"])
        self.profile = self.path.read_text(encoding="utf-8")
        self.document: dict[str, Any] = tomllib.loads(self.profile)

    def run(
        self,
        *command: str,
        capabilities: list[str] | None = None,
        profile: str | None = None,
        options: tuple[str, ...] = QUIET,
    ) -> Done:
        """Run a command under the table, with another list of capabilities or another profile."""
        words = self.table["capabilities"] if capabilities is None else capabilities or ["none"]
        path = self.path
        if profile is not None:
            path = self.z.folder / "less.toml"
            path.write_text(profile, encoding="utf-8")
        sets = (f"security.capabilities={json.dumps(words)}", f"security.seccomp={json.dumps(str(path))}")
        named = [word for each in sets for word in ("--set", each)]
        return self.z("run", *options, *named, "busybox", "--", *command, code=None)

    def allowed(self) -> set[str]:
        """Every call that is allowed, whatever for."""
        rules = [rule for rule in self.document.get("rule", []) if rule["action"] == "allow"]
        return {*self.document["allow"], *(call for rule in rules for call in rule["calls"])}

    def without(self, part: tuple[str, int]) -> str:
        """The profile's text without one of `parts`."""
        kind, index = part
        lines, document = [], self.document
        allow = [call for n, call in enumerate(document["allow"]) if (kind, n) != ("allow", index)]
        lines.append(f"allow = {json.dumps(allow)}")
        for n, rule in enumerate(document.get("rule", [])):
            if (kind, n) == ("rule", index):
                continue
            lines += ["[[rule]]", f"calls = {json.dumps(rule['calls'])}", f'action = "{rule["action"]}"']
            for when in rule.get("when", []):
                lines += ["[[rule.when]]", *(f"{key} = {value}" for key, value in when.items())]
        return "\n".join(lines) + "\n"

    def parts(self) -> list[tuple[str, int]]:
        """Each call that is allowed, and each rule that allows one for an argument."""
        rules = self.document.get("rule", [])
        return [
            *(("allow", n) for n in range(len(self.document["allow"]))),
            *(("rule", n) for n, rule in enumerate(rules) if rule["action"] == "allow"),
        ]


def learn(z: Zonectl, *command: str, options: tuple[str, ...] = (), **given: Any) -> Learned:
    output = str(z.folder / f"learned-{time.monotonic_ns()}.toml")
    words = ["learn", *QUIET, "--output", output, *options, "busybox", "--", *command]
    return Learned(z, z(*words, timeout=300, **given))


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small static programs: one makes a folder, gives it away, reads and writes a little; one binds a low port."""
    folder = tmp_path_factory.mktemp("static")
    source = folder / "work.c"
    source.write_text(
        """
        #include <fcntl.h>
        #include <sys/stat.h>
        #include <sys/ioctl.h>
        #include <sys/socket.h>
        #include <unistd.h>
        int main(void) {
            struct stat found;
            char text[4];
            int fd;
            if (mkdir("/tmp/d", 0700) || chown("/tmp/d", 7, 7) || stat("/tmp/d", &found) || found.st_uid != 7) return 1;
            if ((fd = open("/tmp/f", O_RDWR | O_CREAT, 0600)) < 0 || write(fd, "abc", 3) != 3) return 2;
            if (lseek(fd, 0, SEEK_SET) || read(fd, text, 3) != 3 || text[2] != 'c') return 3;
            if (socket(AF_UNIX, SOCK_STREAM, 0) < 0) return 4;
            getpid(); getppid(); ioctl(0, 0x5401, text);
            return 0;
        }
        """
    )
    (folder / "bind.c").write_text(
        """
        #include <arpa/inet.h>
        #include <sys/socket.h>
        int main(void) {
            struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(80)};
            int fd = socket(AF_INET, SOCK_STREAM, 0);
            return fd < 0 ? 1 : bind(fd, (struct sockaddr *)&here, sizeof here) ? 2 : 0;
        }
        """
    )
    for name in ("work", "bind"):
        words = ["gcc", "-static", "-O1", "-o", f"{folder}/{name}", f"{folder}/{name}.c"]
        subprocess.run(words, check=True, timeout=60)
    return folder


@pytest.mark.requires("program:gcc")
def test_each_part_is_needed(z: Zonectl, static: Path) -> None:
    volume = ("-v", f"{static}:/opt:ro")
    learned = learn(z, "/opt/work", options=volume)
    assert learned.table["capabilities"] == ["chown"]
    assert {"mkdir", "chown", "lseek", "read", "write", "socket"} <= learned.allowed()
    assert learned.allowed().isdisjoint({"getpid", "getppid", "clone", "connect"})
    assert "  getpid, getppid" in learned.profile, "what is left out is told"
    quiet = (*QUIET, *volume)
    assert learned.run("/opt/work", options=quiet).code == 0
    assert learned.run("/opt/work", options=quiet, capabilities=[]).code != 0
    for part in learned.parts():
        done = learned.run("/opt/work", options=quiet, profile=learned.without(part))
        assert done.code != 0, f"nothing fails without {part} of\n{learned.profile}"


def test_a_shell_that_gives_a_file_away(z: Zonectl) -> None:
    command = ("sh", "-c", "touch /tmp/a && chown 7 /tmp/a && stat -c %u /tmp/a")
    learned = learn(z, *command)
    assert learned.table["capabilities"] == ["chown"]
    assert learned.run(*command).out == "7\n"
    assert learned.run(*command, capabilities=[]).code != 0
    for part in learned.parts():
        assert learned.run(*command, profile=learned.without(part)).out != "7\n" or part_is_spared(
            learned, part
        )


def part_is_spared(learned: Learned, part: tuple[str, int]) -> bool:
    kind, index = part
    assert kind == "allow"
    name = learned.document["allow"][index]
    return name in learned.profile.split("Not taken away on trial", 1)[1].split("\n\n")[0]


@pytest.mark.requires("program:gcc")
def test_a_low_port(z: Zonectl, static: Path) -> None:
    volume = ("-v", f"{static}:/opt:ro")
    learned = learn(z, "/opt/bind", options=(*volume, "--quick"))
    assert learned.table["capabilities"] == ["net_bind_service"]
    assert "bind" in learned.allowed()
    assert learned.run("/opt/bind", options=(*QUIET, *volume)).code == 0
    assert learned.run("/opt/bind", options=(*QUIET, *volume), capabilities=[]).code == 2


def test_ping_needs_raw_sockets(z: Zonectl) -> None:
    command = ("ping", "-c", "1", "-W", "2", "127.0.0.1")
    granted = ("--set", 'security.capabilities=["default", "sys_nice"]')
    learned = learn(z, *command, options=(*granted, "--quick"))
    assert learned.table["capabilities"] == ["net_raw"]
    assert learned.run(*command).code == 0
    assert learned.run(*command, capabilities=[]).code != 0
    assert "writes what it wrote" not in learned.text, "the times of each ping differ"


def test_a_workload_that_needs_nothing(z: Zonectl) -> None:
    learned = learn(z, "true")
    assert learned.table["capabilities"] == ["none"]
    assert "execve" in learned.allowed()
    assert len(learned.allowed()) < 10
    assert learned.run("true").code == 0


def test_another_user_gets_nothing_from_the_start(z: Zonectl) -> None:
    learned = learn(z, "sh", "-c", "id -u", options=("--set", 'user="1000"'))
    assert learned.table["capabilities"] == ["none"]
    done = learned.run("sh", "-c", "id -u", options=(*QUIET, "--set", 'user="1000"'))
    assert done.out == "1000\n"


def test_a_workload_that_makes_namespaces_needs_nesting(z: Zonectl) -> None:
    granted = ("--set", 'security.capabilities=["all"]', "--set", 'security.seccomp="off"')
    learned = learn(z, "unshare", "-m", "true", options=granted)
    assert learned.table["capabilities"] == ["sys_admin"]
    assert learned.table["nesting"] is True
    assert learned.run("unshare", "-m", "true", options=(*QUIET, "--set", "security.nesting=true")).code == 0
    assert learned.run("unshare", "-m", "true").code != 0


def test_a_zone_with_a_network_and_a_profile_of_a_file(z: Zonectl) -> None:
    """Learned once more from what was learned: within that, nothing else is found."""
    output, again = str(z.folder / "first.toml"), str(z.folder / "again.toml")
    command = ("busybox", "--", "ip", "route")
    z("learn", *z.sets, "--quick", "--output", output, *command)
    within = ("--set", f"security.seccomp={json.dumps(output)}")
    z("learn", *z.sets, *within, "--quick", "--output", again, *command)
    first, second = (tomllib.loads(Path(path).read_text(encoding="utf-8")) for path in (output, again))
    assert set(second["allow"]) <= set(first["allow"])
    assert z("run", *z.sets, "--set", f"security.seccomp={json.dumps(again)}", *command).code == 0


def test_quick_grants_every_call_that_was_seen(z: Zonectl) -> None:
    learned = learn(z, "sh", "-c", "echo $PPID; chown 3 /tmp", options=("--quick",))
    assert learned.table["capabilities"] == ["chown"]
    assert "getppid" in learned.allowed()


def test_input_is_given_to_each_run(z: Zonectl) -> None:
    learned = learn(z, "sh", "-c", "read a; read b; test $b = two", input=b"one\ntwo\n")
    assert "read" in learned.allowed()


def test_what_the_workload_writes_is_shown_once_and_not_among_the_table(z: Zonectl) -> None:
    done = z("learn", *QUIET, "--output", str(z.folder / "it.toml"), "busybox", "--", "echo", "hello")
    assert "hello" not in done.out.replace("echo hello", "")
    assert done.err == "hello\n"


def test_a_workload_that_fails_is_nothing_to_learn_from(z: Zonectl) -> None:
    output = z.folder / "it.toml"
    done = z("learn", *QUIET, "--output", str(output), "busybox", "--", "sh", "-c", "exit 3", code=1)
    assert "ended with 3" in done.err
    assert not output.exists()
    z("learn", *QUIET, "--output", str(output), "--status", "3", "busybox", "--", "sh", "-c", "exit 3")
    assert output.exists()


def test_nothing_is_learned_that_the_zone_file_does_not_grant(z: Zonectl) -> None:
    command = ("sh", "-c", "chown 7 /tmp")
    options = ("--set", 'security.capabilities=["default", "!chown"]', "--output", str(z.folder / "it.toml"))
    z("learn", *QUIET, *options, "busybox", "--", *command, code=1)


def test_a_workload_that_does_not_end_is_ended(z: Zonectl) -> None:
    words = ("--timeout", "0.5", "--output", str(z.folder / "it.toml"), "busybox", "--", "sleep", "100")
    assert "within 0.5 s" in z("learn", *QUIET, *words, code=1).err


def test_a_file_is_not_written_over_unasked(z: Zonectl) -> None:
    (z.folder / "it.toml").write_text("mine")
    words = ("--output", str(z.folder / "it.toml"), "busybox", "--", "true")
    assert "already" in z("learn", *QUIET, *words, code=2).err
    assert (z.folder / "it.toml").read_text() == "mine"
    z("learn", *QUIET, "--force", *words)
    assert "allow" in (z.folder / "it.toml").read_text()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing(z: Zonectl, signum: int) -> None:
    """The fixture compares the host; what a killed one leaves `gc` removes, and here there is nothing for it."""
    words = ["learn", *QUIET, "--output", str(z.folder / "it.toml"), "busybox", "--", "sleep", "100"]
    with z.popen(*words, stderr=subprocess.DEVNULL) as command:
        until(lambda: z.list() != {})
        os.kill(command.pid, signum)
        assert command.wait(20) != 0
    assert z.list() == {}
    assert z("gc", "--dry-run").out == ""
