"""The ladder: from bare metal to a zone, one layer of isolation at a time.

- `catalogue`: the layers, in order, each told by what a zone is without it.
- `thinning`: what is taken from a plan where no zone file can waive a layer.
- `rungs`: the zone without all that is above, as a configuration and a plan; what each rung stands on.
- `arms`: the probe as the program of such a run.
- `base`: the copy that is the root of all rungs below the overlay.

A rung is a run (`runtime.run`) like any other: made by the same steps, named, locked and cleaned up like one. So what
is measured is what a zone does, and not what a second implementation of it would. The cost of a layer is the ratio of
its rung to the rung that it stands on (`ArmFacts.after`); all of them together are the zone's ratio to bare metal.

Source: docs/adr/0102-rungs-are-runs.md.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from zonectl.bench import site
from zonectl.bench.arms import ZONE, ZoneArm
from zonectl.bench.layers import base
from zonectl.bench.layers.arms import RungArm
from zonectl.bench.layers.rungs import ladder, on_top

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.bench.runner import Arm
    from zonectl.bench.site import Site


@contextmanager
def rungs(here: Site) -> Iterator[list[Arm]]:
    """The arms between bare metal and the zone, from the lowest, and the zone's own as the uppermost.

    They can be started as long as the block lasts.

    Raises:
        ZonectlError: the root of the lower ones cannot be made.

    """
    with site.standing(here.context, here.config) as standing:
        found = ladder(here.config, base=base.make(here, standing.folder))
        nothing = site.make_folder(f"{standing.folder}/nothing")
        arms = (RungArm(here, rung, nothing=nothing) for rung in found)
        yield [*arms, ZoneArm(here, on_top(ZONE, found))]
