"""Power cuts: the machine of the lane is killed at random moments, and what its disk had not flushed is lost.

`python -m tests.vm.powercut [--cuts N]` (`make powercut`). A disk outlives the boots (`disk.py`); in the guest zones
are created, started, written to, stopped and deleted (`guest.py`) until the host kills the machine. After each boot
every zone must be as it was before the command that was cut off, or as that command would have left it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.vm.powercut.disk import Disk, serve

TOP = Path(__file__).parents[3]
SIZE = 512 << 20
_UP_S = 840.0
"""To boot and to check takes half a minute; a machine that has little left for it may take long."""

_AFTER = {"create": "installed", "delete": "absent", "write": "installed"}


@dataclass
class Known:
    """What is known of a zone: the states that it may have, and what it has written for good, as far as it must be."""

    states: list[str] = field(default_factory=lambda: ["absent"])
    text: str = ""

    def begin(self, verb: str) -> None:
        """A command has begun, and may be cut off: it is as before, as after, or can be deleted."""
        self.states = sorted({*self.states, _AFTER[verb], *([] if verb == "write" else ["incomplete"])})
        if verb != "create":
            self.text = ""

    def done(self, verb: str, text: str) -> None:
        """It has exited with 0."""
        self.states = [_AFTER[verb]]
        self.text = text


@dataclass
class Machine:
    """One guest from its boot to its cut. `wrong` is what it said is wrong."""

    known: dict[str, Known]
    wrong: list[str] = field(default_factory=list)
    operations: int = 0
    checked: bool = False

    def hear(self, line: str) -> None:
        """Take note of a line of the guest's."""
        words = line.split()
        if words[:1] == ["WRONG"]:
            self.wrong.append(line)
        elif words[:1] == ["CHECKED"]:
            self.checked = True
        elif words[:1] == ["BEGIN"]:
            self.known.setdefault(words[2], Known()).begin(words[1])
        elif words[:1] == ["DONE"]:
            self.operations += 1
            self.known.setdefault(words[2], Known()).done(words[1], words[3] if len(words) > 3 else "")
        elif words[:1] == ["SLOW"]:
            print(f"  {line}", flush=True)
        else:
            self.wrong.append(f"not understood: {line}")


def main() -> int:
    """Cut the power so many times; the exit status is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cuts", type=int, default=30, help="how often the power goes (default 30)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    wrong = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zonectl-powercut.")))
        disk = _disk(folder, chance)
        known: dict[str, Known] = {}
        for cut in range(options.cuts + 1):
            last = cut == options.cuts
            machine, lost = _live(
                folder, disk, known, seed=chance.randrange(1 << 30), cut_s=_moment(chance, last)
            )
            wrong += len(machine.wrong)
            print(f"boot {cut}: {machine.operations} operations, {lost} sectors lost", flush=True)
            for line in machine.wrong:
                print(f"  {line}", flush=True)
    print(f"power cuts {options.cuts}, wrong {wrong}", flush=True)
    return 1 if wrong else 0


def _moment(chance: random.Random, last: bool) -> float:
    """How long after its check the machine lives; not at all after the last cut."""
    return 0.0 if last else chance.uniform(0.5, 12.0)


def _disk(folder: Path, chance: random.Random) -> Disk:
    path = folder / "disk"
    with path.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", str(path)], check=True)
    return Disk(os.open(path, os.O_RDWR | os.O_CLOEXEC), SIZE, chance)


def _live(
    folder: Path, disk: Disk, known: dict[str, Known], *, seed: int, cut_s: float
) -> tuple[Machine, int]:
    """Boot, let the guest check and work, and cut the power; what it said, and how many sectors were lost."""
    machine = Machine(known)
    with socket.socket(socket.AF_UNIX) as listener:
        path = folder / "nbd"
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        listener.listen(1)
        lost: list[int] = []
        server = threading.Thread(target=lambda: lost.append(_serve(disk, listener)))
        server.start()
        words = json.dumps({name: {"states": each.states, "text": each.text} for name, each in known.items()})
        argv = [sys.executable, "-m", "tests.vm.lane", "--nbd", str(path), "--timeout", "900", "--"]
        argv += [sys.executable, "-m", "tests.vm.powercut.guest", str(seed), words]
        with subprocess.Popen(argv, cwd=TOP, stdout=subprocess.PIPE, text=True) as lane:
            _follow(lane, machine, cut_s)
        server.join()
    return machine, sum(lost)


def _serve(disk: Disk, listener: socket.socket) -> int:
    client, _ = listener.accept()
    with client:
        return serve(disk, client)


def _follow(lane: subprocess.Popen[str], machine: Machine, cut_s: float) -> None:
    """Hear the guest until its time is over, then kill the machine."""
    assert lane.stdout is not None
    cut_off = threading.Timer(_UP_S, lane.send_signal, [signal.SIGKILL])
    cut_off.start()
    for line in lane.stdout:
        if not line.endswith("\n"):  # cut off with the machine
            break
        machine.hear(line.strip())
        if machine.checked and cut_off.interval == _UP_S:
            cut_off.cancel()
            cut_off = threading.Timer(cut_s, lane.send_signal, [signal.SIGKILL])
            cut_off.start()
    cut_off.cancel()
    if not machine.checked:
        machine.wrong.append("the guest did not come as far as its check")
    time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
