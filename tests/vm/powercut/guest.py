"""In the guest: see that what the power cut has left is old or new, then work until the power goes.

    python -m tests.vm.powercut.guest SEED KNOWN

KNOWN is what the host knows of each zone, as JSON: name to the states that it may have now ("absent", "installed",
"incomplete") and to the text that a program of it has written and synced. What is done is said on standard output, a
line before it begins and a line when the command has exited with 0:

    BEGIN create z1      DONE create z1      CHECKED      WRONG why      SLOW why
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TOP = Path(__file__).parents[3]
ROOT, RUN = Path("/scratch/state"), Path("/run/powercut")
NAMES = ("z0", "z1", "z2")
_TOO_SLOW = ": stopped: not done in "
_ATTEMPTS = 4
_COMMAND = [str(TOP / ".venv/bin/zonectl"), "--root", str(ROOT), "--run", str(RUN)]
_FILE = """name = "{name}"
command = ["/bin/sleep", "1000000"]
stop_timeout = "1s"
root = {{ image = "busybox" }}
[network]
bridge = "zpc0"
subnet = "10.219.0.0/24"
"""


def zonectl(*words: str, code: int | None = 0) -> str:
    """Run the command, which must exit with `code`; its standard output.

    What zonectl gave up since the machine was too slow for it (nft is bounded in time) may be tried again.
    """
    attempts = 0
    while True:
        attempts += 1
        done = subprocess.run(
            [*_COMMAND, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        if code is None or done.returncode == code:
            return done.stdout
        said = " ".join(done.stderr.split())
        if attempts == _ATTEMPTS or _TOO_SLOW not in said:
            say("WRONG", f"zonectl {' '.join(words)} exits with {done.returncode}: {said}")
            sys.exit(1)
        say("SLOW", said)


def say(*words: str) -> None:
    """Tell the host, at once."""
    print(*words, flush=True)


def states() -> dict[str, str]:
    """The state of every zone there is."""
    return {zone["name"]: zone["state"] for zone in json.loads(zonectl("list", "-c", "-o", "json"))}


def check(known: Mapping[str, Mapping[str, object]]) -> None:
    """See that every zone is as one of the states it may have, and that the installed ones are whole."""
    found = states()
    for name in sorted({*found, *known}):
        state, allowed = found.get(name, "absent"), known.get(name, {}).get("states", ["absent"])
        if state not in allowed:  # type: ignore[operator]
            say("WRONG", f"{name} is {state}, and should be one of {allowed}")
        if state == "installed":
            _see_whole(name, str(known.get(name, {}).get("text", "")))
        elif state == "incomplete":
            zonectl("delete", "-f", name)
            say("DONE delete", name)
    _see_clean()
    say("CHECKED")


def _see_whole(name: str, text: str) -> None:
    zonectl("start", name)
    if zonectl("exec", name, "--", "cat", "/data", code=None if not text else 0).strip() != text and text:
        say("WRONG", f"{name} has lost what it wrote and synced")
    zonectl("stop", name)


def _see_clean() -> None:
    zonectl("gc", "-f")
    left = zonectl("gc", "--dry-run").strip()
    if left:
        say("WRONG", f"gc leaves {left}")
    ids = [json.loads(zonectl("show", "--json", name)).get("ids") for name in states()]
    if len({json.dumps(each) for each in ids}) < len(ids):
        say("WRONG", f"two zones have the same ids: {ids}")


def work(chance: random.Random) -> None:
    """Create, write, stop and delete, until the power goes."""
    there = set(states())
    count = 0
    while True:
        name = chance.choice(NAMES)
        count += 1
        if name not in there:
            file = RUN / f"{name}.toml"
            file.write_text(_FILE.format(name=name), encoding="utf-8")
            _do("create", name, "create", str(file))
            there.add(name)
        elif chance.random() < 0.5:
            _write(name, f"{os.getpid()}.{count}")
        else:
            _do("delete", name, "delete", "-f", name)
            there.discard(name)


def _write(name: str, text: str) -> None:
    zonectl("start", name)
    say("BEGIN write", name, text)
    zonectl("exec", name, "--", "sh", "-c", f"echo {text} > /new && sync && mv /new /data && sync")
    say("DONE write", name, text)
    zonectl("stop", name)


def _do(verb: str, name: str, *words: str) -> None:
    say("BEGIN", verb, name)
    zonectl(*words)
    say("DONE", verb, name)


def main() -> None:
    """Check, then work."""
    seed, known = sys.argv[1:]
    if not os.path.ismount("/scratch"):
        say("WRONG", "the disk cannot be mounted")
        sys.exit(1)
    ROOT.mkdir(mode=0o700, exist_ok=True)
    RUN.mkdir(mode=0o700, exist_ok=True)
    if not (ROOT / "images" / "refs.json").exists():
        zonectl("image", "build", "busybox")
    check(json.loads(known))
    work(random.Random(seed))


if __name__ == "__main__":
    main()
