"""The system call filter of a zone, for its init and for each exec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.model.seccomp import OFF
from zonectl.security.seccomp import filters

if TYPE_CHECKING:
    from zonectl.model.config import ZoneConfig
    from zonectl.model.seccomp import Filter
    from zonectl.runtime.context import Context


def of_zone(context: Context, config: ZoneConfig) -> Filter | None:
    """The filter of a zone that has been created; None where its file asks for none.

    Raises:
        HostLacks: there is none for this host's architecture.

    """
    return of_file(config, folder=context.paths.filters_dir)


def of_file(config: ZoneConfig, *, folder: str | None = None) -> Filter | None:
    """The filter that a zone of `config` would have; compiled filters are kept in `folder`, if one is given."""
    wanted = config.security
    if wanted.seccomp == OFF:
        return None
    return filters.named(wanted.seccomp, nesting=wanted.nesting, folder=folder)
