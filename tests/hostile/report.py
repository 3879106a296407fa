"""The table of probes and arms: printed after the tests, and docs/hostile.md.

    .venv/bin/python -m tests.hostile.report

takes what the last whole run has recorded in build/hostile.json into the tree, and writes the page from it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tests.hostile import table as probes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.hostile.probe import Probe

Results: TypeAlias = "Mapping[str, Mapping[str, str]]"

REPOSITORY = Path(__file__).parents[2]
RECORD = REPOSITORY / "build" / "hostile.json"
KEPT = Path(__file__).parent / "recorded.json"
PAGE = REPOSITORY / "docs" / "hostile.md"
WAYS = ("init", "exec", "plain")
ARMS = ("host", *WAYS, "removed")
_WIDTH = 34

_HEAD = """\
# Hostile probes

<!-- Made from what the tests have recorded, by `python -m tests.hostile.report`: do not edit. -->

Each probe is an attack that succeeds on the host, fails as root in a default zone (as init, by exec, and by exec of a
plain user) and succeeds again in a zone without the protection that stops it. `make test-hostile` tries all of them.
A probe is *vacuous* where not even the host's root succeeds: the kernel lacks what is attacked, and the failure in
the zone proves nothing there. Where a protection has no key, the tests take exactly that step out of zonectl
(*harness*). Where several stand behind each other, all of them are taken away.
"""


def table(results: Results) -> Iterator[str]:
    """The lines of the summary: a probe, and what became of it in each arm."""
    yield f"{'PROBE':{_WIDTH}}" + "".join(f"{arm.upper():13}" for arm in ARMS)
    for name in sorted(results):
        found = results[name]
        cells = (found.get(arm, "-") for arm in ARMS)
        yield f"{name:{_WIDTH}}" + "".join(f"{brief(cell):13}" for cell in cells)
    counted = [found for found in results.values() if found.get("host", "").startswith("broke")]
    yield f"{len(results)} probes, {len(counted)} of them succeed on the host; the others are vacuous here"


def brief(cell: str) -> str:
    """A result without its detail."""
    return cell.partition(" (")[0]


def page(results: Results) -> str:
    """docs/hostile.md."""
    sections = "".join(_section(group, results) for group in dict.fromkeys(p.group for p in probes.PROBES))
    vacuous = sum(not results[p.name].get("host", "").startswith("broke") for p in probes.PROBES)
    count = (
        f"\n{len(probes.PROBES)} probes; {vacuous} of them vacuous on the kernel of the last recorded run.\n"
    )
    return _HEAD + count + sections


def _section(group: object, results: Results) -> str:
    mine = [probe for probe in probes.PROBES if probe.group is group]
    head = "\n| Probe | After | Stopped by | Taken away by | Host | Zone: init, exec, plain | Without |\n"
    title = f"\n## {mine[0].group.value.capitalize()}\n"
    return title + head + "|---|---|---|---|---|---|---|\n" + "".join(_row(probe, results) for probe in mine)


def _row(probe: Probe, results: Results) -> str:
    found = results[probe.name]
    host = found.get("host", "not tried")
    host = "succeeds" if host.startswith("broke") else host.replace("held", "vacuous:")
    zone = ", ".join(brief(found.get(way, "not tried")).removeprefix("held ") or "held" for way in WAYS)
    without = (
        "succeeds" if found.get("removed", "").startswith("broke") else found.get("removed", "not tried")
    )
    cells = (probe.name, probe.source, probe.protection, str(probe.removal), host, zone, without)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def main() -> int:
    """Keep the last whole run's results and write the page; fails where a probe has no result."""
    results = json.loads(RECORD.read_text(encoding="utf-8"))
    lacking = [probe.name for probe in probes.PROBES if probe.name not in results]
    if lacking:
        sys.stderr.write(f"not all probes have been tried: {', '.join(lacking)}\n")
        return 1
    known = {probe.name for probe in probes.PROBES}
    kept = {name: {arm: brief(cell) for arm, cell in results[name].items()} for name in sorted(known)}
    KEPT.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    PAGE.write_text(page(kept), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
