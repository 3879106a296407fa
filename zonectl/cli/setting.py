"""The setting of one command: which instance, on which host, for whom. Built here and nowhere else."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import ZonectlError
from zonectl.model.instance import DEFAULT_ROOT, DEFAULT_RUN, Instance
from zonectl.store.paths import Paths

if TYPE_CHECKING:
    from zonectl.model.facts import HostFacts
    from zonectl.runtime.context import Context
    from zonectl.runtime.frontend import Frontend, Warden


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a verb knows besides its own arguments. `given` is the front end of a warm caller."""

    instance: Instance
    debug: bool = False
    given: Frontend | None = None
    warden: Warden | None = None

    @property
    def paths(self) -> Paths:
        """The paths of the instance."""
        return Paths(self.instance)

    def facts(self) -> HostFacts:
        """The facts about the host, read anew."""
        from zonectl.kernel.host import host_facts

        return host_facts()

    def context(self) -> Context:
        """What the verbs of `runtime` want to know."""
        from zonectl.runtime.context import Context

        return Context(instance=self.instance, paths=self.paths, facts=self.facts(), warden=self.warden)

    def frontend(self) -> Frontend:
        """The caller: the given one, else whoever called this process."""
        if self.given is not None:
            return self.given
        from zonectl.cli.local import LocalFrontend

        # A caller that ignores it would have our children reaped by the kernel before we can ask how they ended.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        return LocalFrontend()

    def require_warden(self, verb: str, zone: str) -> None:
        """Refuse, before anything is done, what needs zoned where there is none.

        Raises:
            ZonectlError: nobody would watch a zone that is started.

        """
        if self.warden is None:
            hint = f"zonectl {verb} {zone}, without --no-daemon"
            raise ZonectlError("nobody would watch it: zoned is not there", zone=zone, hint=hint)

    def require_root(self, verb: str) -> None:
        """Refuse a verb that only root may use.

        Raises:
            ZonectlError: the caller is not root.

        """
        if os.geteuid() != 0:
            raise ZonectlError(f"must be root to {verb}", hint=f"sudo zonectl {verb} ...")

    def require_readable(self, verb: str) -> None:
        """Refuse a verb that only reads, where the state is somebody else's: it would seem that there are no zones.

        Raises:
            ZonectlError: the state cannot be read.

        """
        if os.geteuid() != 0 and not _is_readable(self.instance.root):
            raise ZonectlError(f"must be root to {verb}", hint=f"sudo zonectl {verb} ...")


def make(
    *,
    root: str | None,
    run: str | None,
    debug: bool,
    frontend: Frontend | None,
    warden: Warden | None,
) -> Setting:
    """The setting of a command line with the values of `--root` and `--run`, which stand before the environment."""
    instance = Instance(
        root=os.path.abspath(root or os.environ.get("ZONECTL_ROOT") or DEFAULT_ROOT),
        run=os.path.abspath(run or os.environ.get("ZONECTL_RUN") or DEFAULT_RUN),
    )
    return Setting(instance=instance, debug=debug, given=frontend, warden=warden)


def _is_readable(root: str) -> bool:
    try:
        os.stat(root)
    except FileNotFoundError:
        return True
    except PermissionError:
        return False
    return os.access(root, os.R_OK | os.X_OK)
