"""What really holds of a running zone's protections, beside what its file declares: for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.cli import table
from zonectl.cli.table import Column
from zonectl.model.audit import Verdict
from zonectl.model.escape import escape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zonectl.cli.table import Style
    from zonectl.model.audit import Finding
    from zonectl.planning.protections import Waiver
    from zonectl.runtime.context import Context

_COLUMNS = (
    Column("name", "WHAT"),
    Column("verdict", "VERDICT"),
    Column("declared", "DECLARED"),
    Column("found", "FOUND"),
)
_VERDICT_AT = 1
_COLOURS = {
    Verdict.HOLDS.value: "green",
    Verdict.NARROWER.value: "green",
    Verdict.DIFFERS.value: "red",
    Verdict.UNREAD.value: "red",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was found of the zone `zone`, whose init is `pid`, and which protections its file waives.

    `untold` is what no kernel tells of another process.
    """

    zone: str
    pid: int
    findings: tuple[Finding, ...]
    waivers: tuple[Waiver, ...]
    untold: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether all is as declared, or narrower."""
        return all(finding.verdict.good for finding in self.findings)


def take(context: Context, name: str) -> Audit:
    """The audit of the zone `name`.

    Raises:
        NoSuchZone: there is none.
        StateError: its program does not run.

    """
    from zonectl.model.profiles import RootProfile
    from zonectl.planning import audit
    from zonectl.planning.protections import Waiver, waivers
    from zonectl.runtime.observation import observe
    from zonectl.runtime.zones import for_maintenance, load, plan_of
    from zonectl.store.records import load_live

    zone = load(context, name)
    live, profile = load_live(context.paths, name), zone.config.root.profile
    maintained = live is not None and live.writable and profile is not RootProfile.NONE
    if maintained:
        zone = for_maintenance(zone)
    opened = Waiver(key="start --writable", protection=f"the profile {profile.value} of its root")
    plan = plan_of(context, zone)
    observed = observe(context, name, plan, paths=audit.paths(zone.config, plan))
    return Audit(
        zone=name,
        pid=observed.pid,
        findings=audit.findings(zone.config, plan, observed),
        waivers=(*waivers(zone.config, plan.warnings), *((opened,) if maintained else ())),
        untold=audit.UNTOLD,
    )


def as_data(taken: Audit) -> dict[str, object]:
    """The audit for programs."""
    return {
        "name": taken.zone,
        "pid": taken.pid,
        "holds": taken.holds,
        "findings": [
            {
                "area": finding.area,
                "name": finding.name,
                "declared": finding.declared,
                "found": finding.found,
                "verdict": finding.verdict.value,
                "detail": finding.detail,
            }
            for finding in taken.findings
        ],
        "untold": list(taken.untold),
        "waived": [{"key": waiver.key, "protection": waiver.protection} for waiver in taken.waivers],
    }


def as_text(taken: Audit, style: Style) -> list[str]:
    """The audit for people: a table for each area, what is waived, what nobody can read, the result. All is escaped."""

    def paint(column: int, cell: str, padded: str) -> str:
        return style.paint(padded, _COLOURS.get(cell)) if column == _VERDICT_AT else padded

    title, *rows = table.aligned(_COLUMNS, [_row(finding) for finding in taken.findings], paint=paint)
    lines, area = [style.paint(title, "bold")], ""
    for finding, row in zip(taken.findings, rows, strict=True):
        if finding.area != area:
            area = finding.area
            lines.append(style.paint(area, "bold"))
        lines.append(row)
        if finding.detail:
            lines.append(style.paint(f"    {escape(finding.detail)}", "dim"))
    untold = f"not told by any kernel: {', '.join(taken.untold)}"
    return [*lines, *_waived(taken.waivers, style), style.paint(untold, "dim"), _result(taken, style)]


def _row(finding: Finding) -> list[str]:
    found = finding.found if finding.found != finding.declared else "the same"
    return [f"  {finding.name}", finding.verdict.value, finding.declared, found]


def _waived(waivers: Iterable[Waiver], style: Style) -> list[str]:
    rows = [[f"  {waiver.key}", waiver.protection] for waiver in waivers]
    if not rows:
        return []
    columns = (Column("key", "KEY"), Column("protection", "PROTECTION"))
    return [style.paint("waived by the zone file", "bold"), *table.aligned(columns, rows, headers=False)]


def _result(taken: Audit, style: Style) -> str:
    wrong = sum(not finding.verdict.good for finding in taken.findings)
    if not wrong:
        return style.paint(f"{taken.zone}: all {len(taken.findings)} as declared", "green")
    return style.paint(f"{taken.zone}: {wrong} of {len(taken.findings)} not as declared", "red")
