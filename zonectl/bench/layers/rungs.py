"""The rungs of a zone's ladder. Pure: a configuration in, configurations and what their plans are thinned by out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from zonectl.bench.layers.catalogue import CGROUP, HARMLESS, LAYERS, LIMITS, NET, REST, Layer, as_planned
from zonectl.bench.results import ArmFacts, Kind
from zonectl.model.config import MountConfig, NetworkMode, RootMode

if TYPE_CHECKING:
    from zonectl.model.config import ZoneConfig
    from zonectl.planning import ZonePlan

BARE: Final = "bare"
"""The arm that the lowest rung stands on."""

_HOSTS_PROGRAMS: Final = MountConfig(target="/usr", source="/usr", readonly=True, suid=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A zone without the layers `above`: `config` is as far as a zone file can say that."""

    layer: Layer
    facts: ArmFacts
    config: ZoneConfig
    above: tuple[Layer, ...]

    def reshape(self, plan: ZonePlan) -> ZonePlan:
        """The plan of `config` without what no zone file can waive."""
        for layer in reversed(self.above):
            plan = layer.thin(plan)
        return plan


def ladder(config: ZoneConfig, *, base: str) -> tuple[Rung, ...]:
    """The rungs between bare metal and the zone of `config`, from the lowest; without layers that it does not have.

    `base` is the folder that roots below the overlay are copies of. Limits that the zone does not have are a rung
    beside the others, on which none stands.
    """
    whole = _on_base(config, base) if config.root.mode is RootMode.COPY else config
    found: list[Rung] = []
    below = BARE
    for number, layer in enumerate(LAYERS[:-1]):
        above = LAYERS[number + 1 :]
        if not _has(whole, layer):
            if layer is LIMITS:
                found.append(_beside(_without(whole, above, base), above))
            continue
        facts = _facts(layer, below, adds=_adds(layer, config))
        found.append(Rung(layer=layer, facts=facts, config=_without(whole, above, base), above=above))
        below = layer.name
    return tuple(found)


def on_top(zone: ArmFacts, rungs: tuple[Rung, ...]) -> ArmFacts:
    """The zone's own arm as what stands on the uppermost rung: what it has besides is the rest."""
    uppermost = [rung for rung in rungs if rung.facts.name != LIMITS.name or _is_stood_on(rung, rungs)][-1]
    return replace(zone, after=uppermost.facts.name, differs=REST.adds)


def _is_stood_on(rung: Rung, rungs: tuple[Rung, ...]) -> bool:
    return any(other.facts.after == rung.facts.name for other in rungs)


def _has(config: ZoneConfig, layer: Layer) -> bool:
    return layer.thin is not as_planned or layer.waive(config) != config or layer is LAYERS[0]


def _without(config: ZoneConfig, above: tuple[Layer, ...], base: str) -> ZoneConfig:
    changed = config
    for layer in reversed(above):
        changed = layer.waive(changed)
    if changed.root.mode is config.root.mode:
        return changed
    shown = (_HOSTS_PROGRAMS,) if config.root.host else ()
    return replace(_on_base(changed, base), mounts=(*shown, *changed.mounts))


def _on_base(config: ZoneConfig, base: str) -> ZoneConfig:
    return replace(config, root=replace(config.root, image=None, tar=None, host=False, path=base))


def _beside(config: ZoneConfig, above: tuple[Layer, ...]) -> Rung:
    facts = _facts(LIMITS, CGROUP.name, adds="limits on the control group, too high to hold anything back")
    facts = replace(facts, title=f"{LIMITS.title} (beside)")
    return Rung(layer=LIMITS, facts=facts, config=replace(config, resources=HARMLESS), above=above)


def _facts(layer: Layer, below: str, *, adds: str) -> ArmFacts:
    return ArmFacts(name=layer.name, kind=Kind.LAYER, title=layer.title, differs=adds, after=below)


def _adds(layer: Layer, config: ZoneConfig) -> str:
    if layer is NET and config.network.mode is NetworkMode.NONE:
        return "a network namespace with nothing but loopback"
    return layer.adds
