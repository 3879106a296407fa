"""The table of probes and arms: printed after the tests, and docs/hostile.md.

    .venv/bin/python -m tests.hostile.report [LOG OF THE LANE...]

takes what the last whole run has recorded in build/hostile.json into the tree, and what a run of tests/vm/hostile has
written (or what was kept of one before), and writes the page from it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tests.hostile import table as probes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.hostile.probe import Probe

Results: TypeAlias = "Mapping[str, Mapping[str, str]]"

REPOSITORY = Path(__file__).parents[2]
RECORD = REPOSITORY / "build" / "hostile.json"
LOGGED = "hostile probes in the lane: "
KEPT = Path(__file__).parent / "recorded.json"
PAGE = REPOSITORY / "docs" / "hostile.md"
WAYS = ("init", "exec", "plain")
ARMS = ("host", *WAYS, "removed")
IN_LANE = " (lane)"
_WIDTH = 34

_HEAD = """\
# Hostile probes

<!-- Made from what the tests have recorded, by `python -m tests.hostile.report`: do not edit. -->

Each probe is an attack that succeeds on the host, fails as root in a default zone (as init, by exec, and by exec of a
plain user) and succeeds again in a zone without the protection that stops it. `make test-hostile` tries all of them.
A probe is *vacuous* where not even the host's root succeeds: the kernel lacks what is attacked, and the failure in
the zone proves nothing there. Where a protection has no key, the tests take exactly that step out of zonectl
(*harness*). Where several protections stand behind each other, all of them are taken away; those in bold have been seen
to stop the attack alone, with all others gone.
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
    groups = dict.fromkeys(probe.group for probe in probes.PROBES)
    sections = [
        _section(
            group.value.capitalize(), [probe for probe in probes.PROBES if probe.group is group], results
        )
        for group in groups
    ]
    lane = {probe.name: results.get(f"{probe.name}{IN_LANE}", {}) for probe in probes.LANE_PROBES}
    sections.append(_section("On a kernel of their own, in the lane", probes.LANE_PROBES, lane))
    vacuous = [probe.name for probe in probes.PROBES if not _succeeds(results[probe.name])]
    here = (
        f"{len(probes.PROBES)} probes; {len(vacuous)} of them vacuous on the kernel of the last recorded run"
    )
    return f"{_HEAD}\n{here}: {', '.join(vacuous)}.\n" + "".join(sections)


def _succeeds(found: Mapping[str, str]) -> bool:
    return found.get("host", "").startswith("broke")


def _section(title: str, mine: Sequence[Probe], results: Results) -> str:
    head = "\n| Probe | After | Stopped by | Taken away by | Host | Zone: init, exec, plain | Without |\n"
    return (
        f"\n## {title}\n"
        + head
        + "|---|---|---|---|---|---|---|\n"
        + "".join(_row(probe, results) for probe in mine)
    )


def _row(probe: Probe, results: Results) -> str:
    found = results[probe.name]
    host = found.get("host", "not tried")
    host = "succeeds" if host.startswith("broke") else host.replace("held", "vacuous:")
    zone = ", ".join(brief(found.get(way, "not tried")).removeprefix("held ") or "held" for way in WAYS)
    without = (
        "succeeds" if found.get("removed", "").startswith("broke") else found.get("removed", "not tried")
    )
    alone = found.get("layers", "").split(", ")
    removal = ", ".join(f"**{key}**" if key in alone else key for key in probe.removal.words)
    cells = (probe.name, probe.source, probe.protection, removal, host, zone, without)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def main() -> int:
    """Keep the last whole run's results and write the page; fails where a probe has no result."""
    results = json.loads(RECORD.read_text(encoding="utf-8"))
    known = {probe.name for probe in probes.PROBES}
    if lacking := sorted(known - results.keys()):
        sys.stderr.write(f"not all probes have been tried: {', '.join(lacking)}\n")
        return 1
    lane = {f"{name}{IN_LANE}": found for name, found in _lane_results(sys.argv[1:]).items()}
    tried = {name: results[name] for name in known} | lane
    kept = {name: {arm: brief(cell) for arm, cell in found.items()} for name, found in tried.items()}
    KEPT.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    PAGE.write_text(page(kept), encoding="utf-8")
    return 0


def _lane_results(logs: list[str]) -> Results:
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    known = {probe.name for probe in probes.LANE_PROBES}
    found = {name.removesuffix(IN_LANE): cells for name, cells in kept.items() if name.endswith(IN_LANE)}
    for log in logs:
        lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
        found |= json.loads(next(line for line in lines if line.startswith(LOGGED)).removeprefix(LOGGED))
    return {name: cells for name, cells in found.items() if name in known}


if __name__ == "__main__":
    sys.exit(main())
