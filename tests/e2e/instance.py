"""An instance of zonectl of a test's own, driven by the installed command alone."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.host import Host
from tests.e2e.terminal import Terminal
from zonectl.model.instance import Instance as Identity

REPOSITORY = Path(__file__).parents[2]
COMMAND = os.environ.get("ZONECTL_COMMAND") or str(REPOSITORY / ".venv/bin/zonectl")
CONFIGS = REPOSITORY / "configs"
IDLE_S = 5
TIMEOUT_S = 60

# Bridges and subnets of this run of the tests, apart from those of another run on the same host.
_NUMBERS = itertools.count(os.getpid() * 61)


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def out(self) -> str:
        """Its standard output, as text."""
        return self.stdout.decode(errors="replace")

    @property
    def err(self) -> str:
        """Its standard error, as text."""
        return self.stderr.decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        """The lines of its standard output."""
        return self.out.splitlines()


class Zonectl:
    """The command for one instance. `z("list", "-c")` runs it, and sees that it exits with 0 (or `code`)."""

    def __init__(self, folder: Path) -> None:
        number = next(_NUMBERS) % (64 * 256)
        self.folder = folder
        self.root = folder / "root"
        self.run_root = folder / "run"
        self.bridge = f"zt{number:x}"
        self.network = f"10.{192 + number // 256}.{number % 256}"
        self.subnet = f"{self.network}.0/24"
        self.host = Host(folder, bridge=self.bridge)
        self.mark = Identity(root=str(self.root)).id
        self.environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(folder),
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
            "ZONECTL_ROOT": str(self.root),
            "ZONECTL_RUN": str(self.run_root),
            "ZONECTL_IDLE": str(IDLE_S),
        }

    @property
    def sets(self) -> list[str]:
        """The options that put a zone of an image on the instance's own bridge."""
        return ["--set", f"network.bridge={self.bridge}", "--set", f"network.subnet={self.subnet}"]

    def __call__(self, *words: str, code: int | None = 0, **options: Any) -> Done:
        """Run `zonectl words...`; `input` goes to its standard input, which is /dev/null otherwise."""
        options = {"env": self.environment, "timeout": TIMEOUT_S, "capture_output": True, **options}
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        if {"stdout", "stderr"} & options.keys():
            del options["capture_output"]
        found = subprocess.run([COMMAND, *words], check=False, **options)
        done = Done(found.returncode, found.stdout or b"", found.stderr or b"")
        assert b"Traceback" not in done.stderr, done.err
        assert b"internal error" not in done.stderr, self.complaints() + done.err
        if code is not None:
            assert done.code == code, f"{words}: {done.code}\n{done.out}{done.err}{self.complaints()}"
        return done

    def cold(self, *words: str, **options: Any) -> Done:
        """The same without zoned."""
        return self("--no-daemon", *words, **options)

    def run(self, *command: str, options: tuple[str, ...] = (), **given: Any) -> Done:
        """Run a program in a zone of busybox."""
        return self("run", *self.sets, *options, "busybox", "--", *command, **given)

    def popen(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        """Begin to run the command."""
        options = {"env": self.environment, "stdin": subprocess.DEVNULL, **options}
        return subprocess.Popen([COMMAND, *words], **options)

    def terminal(self, *words: str, size: tuple[int, int] = (24, 80)) -> Terminal:
        """Run the command in a terminal of its own."""
        return Terminal([COMMAND, *words], self.environment, size=size)

    def adapted(self, text: str) -> str:
        """A zone file whose zone is on the instance's own bridge, with its addresses moved into the own subnet."""
        moved = text.replace("10.77.0.", f"{self.network}.").replace("/16", "/24")
        if re.search(r'^mode = "(none|host)"', moved, re.MULTILINE) or 'net = "host"' in moved:
            return moved
        place = f'bridge = "{self.bridge}"\nsubnet = "{self.subnet}"\n'
        if "subnet = " in moved:
            return moved
        if "\n[network]\n" in moved:
            return moved.replace("\n[network]\n", f"\n[network]\n{place}", 1)
        return f"{moved}\n[network]\n{place}"

    def file(self, name: str) -> str:
        """The path of an adapted copy of the example `name`."""
        return self.write(name, (CONFIGS / f"{name}.toml").read_text(encoding="utf-8"))

    def write(self, name: str, text: str) -> str:
        """The path of an adapted zone file of that text."""
        path = self.folder / f"{name}.toml"
        path.write_text(self.adapted(text), encoding="utf-8")
        return str(path)

    def create(self, *names: str) -> None:
        """Create the zones of examples."""
        self("create", *(self.file(name) for name in names))

    def define(self, name: str, command: str = "while :; do sleep 1 & wait $!; done", more: str = "") -> None:
        """Create a zone of busybox that runs a shell command, and ends of SIGTERM; `more` is of the top table."""
        text = f"""name = "{name}"\ncommand = ["/bin/sh", "-c", {json.dumps("trap 'exit 0' TERM; " + command)}]\n"""
        self("create", self.write(name, f'{text}root = {{ image = "busybox" }}\n{more}'))

    def list(self) -> dict[str, dict[str, Any]]:
        """Every zone, by name, as `list` tells it to programs."""
        return {zone["name"]: zone for zone in json.loads(self("list", "-c", "-o", "json").out)}

    def state(self, name: str) -> str:
        """The state of a zone."""
        return str(self.list()[name]["state"])

    def show(self, name: str) -> dict[str, Any]:
        """All that is known about a zone."""
        return dict(json.loads(self("show", "--json", name).out))

    def exec(self, name: str, *command: str, options: tuple[str, ...] = (), **given: Any) -> Done:
        """Run a program in a running zone."""
        return self("exec", *options, name, "--", *command, **given)

    def runs(self, name: str, words: str) -> bool:
        """Whether a program with these words runs in a running zone."""
        return any(line.endswith(words) for line in self.exec(name, "ps", "-o", "args").lines)

    def complaints(self) -> str:
        """What zoned has written into its log."""
        path = self.run_root / "zoned.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def zoned(self, **options: Any) -> int:
        """The pid of the instance's zoned; 0 if none runs."""
        status = self("zoned", "status", code=None, **options)
        return int(status.out.split("pid ")[1]) if status.code == 0 else 0

    def clear(self) -> None:
        """Delete every zone and end zoned."""
        self("delete", "--all", "-f")
        self.end_zoned()

    def end_zoned(self, **options: Any) -> None:
        """End zoned. Idle, it may have left by itself, or be about to."""
        if self("zoned", "stop", code=None, **options).code:
            assert not self.zoned(**options)
