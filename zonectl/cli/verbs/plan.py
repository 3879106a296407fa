"""plan: every step of a start, in order, without taking any."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zonectl.cli import failure, sources, table, values
from zonectl.errors import UsageError
from zonectl.model.escape import escape
from zonectl.model.names import ZONE_NAME

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting
    from zonectl.model.config import ZoneConfig
    from zonectl.model.steps import Binding, Call, Step
    from zonectl.planning import ZonePlan

DESCRIPTION = """\
Show every step of a zone's start, in order: who takes it (the host's side, or init inside), what it achieves, and
each system call or kernel file with its manual page. What is known only when the zone is created is shown by its
name, as <address: leased>. Nothing is done, and of a file nobody needs to be root to see it.

With --json: a list of objects with the keys number, side ("host" or "inside"), summary and calls, a list of objects
with the keys name, target, detail, when (empty, or the condition) and man.
"""
EXAMPLES = """\
zonectl plan web.toml
zonectl plan --set resources.memory=1GiB ./web.toml
zonectl plan --json web
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    sources.add_set(parser)
    parser.add_argument(
        "source",
        metavar="FILE|ZONE",
        type=values.text,
        help="a zone file (it has a / or ends in .toml), or a zone that has been created",
    )
    parser.set_defaults(check=check)


def check(options: Namespace) -> None:
    """See that it is a file, or the name of a zone as it is."""
    if sources.is_file(options.source):
        return
    if not ZONE_NAME.match(options.source):
        raise UsageError(f"plan: {options.source!r} is neither a file nor the name of a zone")
    if options.set:
        raise UsageError("plan: --set changes a file, and this is a zone", hint="zonectl plan --set ... FILE")


def run(options: Namespace, setting: Setting) -> int:
    """Plan and print."""
    found = _of_file(options, setting) if sources.is_file(options.source) else _of_zone(options, setting)
    for warning in found.warnings:
        failure.complain(f"zonectl: warning: {escape(warning)}")
    if options.json:
        print(table.json_text(as_data(found)), end="")
    else:
        print("\n".join(as_text(found, table.Style.of_output())))
    return 0


def as_data(found: ZonePlan) -> list[dict[str, object]]:
    """The plan for programs."""
    return [
        {
            "number": number,
            "side": step.side.value,
            "summary": step.summary,
            "calls": [_call_data(call) for call in step.calls],
        }
        for number, step in enumerate(found.steps, 1)
    ]


def _call_data(call: Call) -> dict[str, object]:
    return {
        "name": call.name,
        "target": call.target,
        "detail": call.detail,
        "when": call.when,
        "man": call.man,
    }


def as_text(found: ZonePlan, style: table.Style) -> list[str]:
    """The plan for people: a line for each step, and below it one for each call."""
    return [line for number, step in enumerate(found.steps, 1) for line in _step_lines(number, step, style)]


def _step_lines(number: int, step: Step, style: table.Style) -> list[str]:
    head = style.paint(escape(f"{number:3}  {step.side.value:<6}  {step.summary}"), "bold")
    return [head, *(f"       {escape(_words(call))}  {style.paint(call.man, 'dim')}" for call in step.calls)]


def _words(call: Call) -> str:
    when = f"({call.when})" if call.when else ""
    return " ".join(word for word in (call.name, call.target, call.detail, when) if word)


def _of_zone(options: Namespace, setting: Setting) -> ZonePlan:
    from zonectl.runtime import zones

    setting.require_readable("plan a zone")
    context = setting.context()
    return zones.plan_of(context, zones.load(context, options.source))


def _of_file(options: Namespace, setting: Setting) -> ZonePlan:
    from zonectl import config
    from zonectl.planning import plan
    from zonectl.runtime import filters
    from zonectl.runtime.zones import host_resolv_conf

    loaded = config.load(options.source, options.set).config
    return plan(
        loaded,
        setting.facts(),
        setting.instance,
        binding=binding(loaded, setting.paths.zone_dir(loaded.name)),
        resolv_conf=host_resolv_conf(),
        seccomp=filters.of_config(loaded, setting.facts()),
    )


def binding(config: ZoneConfig, zone_dir: str) -> Binding:
    """What a zone that has not been created will be bound to, as far as its file says it, else by its name."""
    from zonectl.model.config import NetworkMode
    from zonectl.model.steps import Binding
    from zonectl.runtime.zones import gateway

    unbound = Binding.unbound(zone_dir=zone_dir, layers=(_layer(config),))
    if config.network.mode is not NetworkMode.VETH:
        return replace(unbound, address="", gateway="")
    address = str(config.network.address) if config.network.address else unbound.address
    return replace(unbound, address=address, gateway=gateway(config) or unbound.gateway)


def _layer(config: ZoneConfig) -> str:
    root = config.root
    if root.path is not None:
        return root.path
    if root.host:
        return "<layer of the host's /etc>"
    return f"<layers of {root.image or root.tar}>"
