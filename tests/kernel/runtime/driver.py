"""A process of its own that does one verb of the runtime in a test's world: what a tracer follows.

python -m tests.kernel.runtime.driver FOLDER NUMBER start|ready|stop ZONE
python -m tests.kernel.runtime.driver FOLDER NUMBER create FILE
python -m tests.kernel.runtime.driver FOLDER NUMBER exec ZONE PROGRAM...
    python -m tests.kernel.runtime.driver FOLDER NUMBER copy_in|copy_out ZONE SOURCE TARGET
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.kernel.runtime.world import World
from zonectl.runtime.copying import copy_in, copy_out
from zonectl.runtime.create import create
from zonectl.runtime.delete import delete
from zonectl.runtime.start import ready, start
from zonectl.runtime.stop import stop

VERBS = {"start": start, "ready": ready, "stop": stop, "delete": delete}
COPIES = {"copy_in": copy_in, "copy_out": copy_out}


def main(folder: str, number: str, verb: str, zone: str, *argv: str) -> int:
    """Do the verb; the exit status is the program's for exec."""
    world = World(folder=Path(folder), number=int(number))
    if verb in COPIES:
        COPIES[verb](world.context, zone, argv[0], target=argv[1])
        return 0
    if verb == "create":
        text = Path(zone).read_text(encoding="utf-8")
        create(world.context, world.parse(text), text)
        return 0
    if verb == "exec":
        return world.execute(*argv, name=zone).exit_status.code
    VERBS[verb](world.context, zone)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
