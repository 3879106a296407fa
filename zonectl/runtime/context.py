"""What every verb needs to know: which instance, on which host, watched by whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zonectl.model.facts import HostFacts
    from zonectl.model.instance import Instance
    from zonectl.runtime.frontend import Warden
    from zonectl.store.paths import Paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The setting of one command. `warden` is None where nobody watches a zone after the command has ended.

    `lock_timeout_s` is how long a verb waits for a zone that another command works on.
    """

    instance: Instance
    paths: Paths
    facts: HostFacts
    warden: Warden | None = None
    lock_timeout_s: float = 10.0
