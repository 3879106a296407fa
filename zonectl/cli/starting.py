"""Starting several zones: what they depend on first, and nothing whose dependency has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import order
from zonectl.errors import ZonectlError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zonectl.cli.batch import Batch
    from zonectl.model.config import ZoneConfig
    from zonectl.runtime.context import Context


def start_all(context: Context, names: Sequence[str], batch: Batch) -> None:
    """Start the zones `names`, and before them what they depend on and is not up."""
    from zonectl.runtime import start

    named = order.load_each(context, names, batch)
    configs = order.with_dependencies(context, named, batch)
    for level in order.levels(configs):
        sound = [name for name in level if _may_start(name, configs, batch)]
        if sound:
            batch.each(sound, lambda name: start.start(context, name))


def _may_start(name: str, configs: dict[str, ZoneConfig], batch: Batch) -> bool:
    lacking = batch.failed(configs[name].depends_on)
    if lacking:
        reason = f"not started: it depends on {', '.join(lacking)}, which has not started"
        batch.note(name, ZonectlError(reason, zone=name))
    return not lacking
