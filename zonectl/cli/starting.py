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


def start_all(context: Context, names: Sequence[str], batch: Batch, *, writable: bool = False) -> None:
    """Start the zones `names`, and before them what they depend on and is not up.

    With `writable` the immutable roots of `names`, not of what they depend on, can be written to until they stop.
    """
    from zonectl.runtime import start

    named = order.load_each(context, names, batch)
    configs = order.with_dependencies(context, named, batch)
    for level in order.levels(configs):
        sound = [name for name in level if _may_start(context, configs[name], batch)]
        if sound:
            batch.each(sound, lambda name: start.start(context, name, writable=writable and name in names))


def _may_start(context: Context, config: ZoneConfig, batch: Batch) -> bool:
    # One that failed because it runs already is up all the same.
    lacking = [name for name in batch.failed(config.depends_on) if not order.is_up(context, name)]
    if lacking:
        reason = f"not started: it depends on {', '.join(lacking)}, which has not started"
        batch.note(config.name, ZonectlError(reason, zone=config.name))
    return not lacking
