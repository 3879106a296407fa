"""One hostile root, the verbs tried on it, and what the host must look like afterwards."""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING, TypeVar

from tests.kernel.hostile_roots import zoo
from tests.kernel.hostile_roots.zoo import Canary
from zonectl.cli import failure
from zonectl.errors import NoSuchZone, ZonectlError
from zonectl.kernel import proc
from zonectl.runtime.delete import delete

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.runtime.world import World

_T = TypeVar("_T")
_NUMBERS = itertools.count()

_NODES = {"/null", "/zero", "/full", "/random", "/urandom", "/tty"}


class Cage:
    """A root of its own and a zone on it, in the instance `world`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.canary = Canary(world.folder / "host")
        self.name = f"z{next(_NUMBERS)}"
        self.root = zoo.make_root(world.folder / f"root-{self.name}")
        self.given = world.folder / f"given-{self.name}"
        (self.given / "folder").mkdir(parents=True)
        (self.given / "file").write_text("given\n")
        (self.given / "folder/inner").write_text("given\n")
        self.refusals: dict[str, str] = {}
        self._content = self.canary.content()
        self._before = world.footprint()
        self._seen = self.canary.seen()

    def spoil(self, place: str, kind: str) -> None:
        """Make a place of the root into something; where it is to lead out, see that it would."""
        path = zoo.spoil(self.canary, self.root, place, kind)
        if kind in zoo.LEADS_OUT:
            assert path.samefile(self.canary.folder / zoo.LEADS_OUT[kind])

    def text(self, *, root: str = "") -> str:
        """A zone file that uses every place."""
        given = self.given
        return f"""name = "{self.name}"
command = ["{zoo.COMMAND}", "1000"]
workdir = "{zoo.WORKDIR}"
stop_timeout = "0s"
[root]
{root or f'path = "{self.root}"'}
[network]
mode = "none"
[[mount]]
source = "{given}/folder"
target = "{zoo.FOLDER_TARGET}"
[[mount]]
source = "{given}/file"
target = "{zoo.FILE_TARGET}"
[[mount]]
type = "tmpfs"
target = "{zoo.TMPFS_TARGET}"
[[mount]]
source = "{given}/folder"
target = "{zoo.GUARDED_TARGET}"
readonly = true
"""

    def attempt(self, what: str, verb: Callable[[], _T]) -> _T | None:
        """What the verb gives; None where it is refused, which must be clear."""
        try:
            return verb()
        except ZonectlError as error:
            lines = failure.lines(error)
            assert len(lines) <= 2, lines
            assert len(lines[0]) > len("zonectl: "), lines
            assert zoo.SECRET not in "".join(lines)
            self.refusals[what] = lines[0]
            return None

    def leave(self) -> None:
        """Delete the zone, and see that the host is as it was before."""
        self._delete()
        seen = self.canary.seen()
        assert seen == self._seen
        assert self.canary.content() == self._content
        shutil.rmtree(self.root)
        shutil.rmtree(self.given)
        self.world.becomes(self._before)

    def _delete(self) -> None:
        context = self.world.context
        try:
            delete(context, self.name)
        except NoSuchZone:
            pass  # its create was refused
        except ZonectlError:
            # The test has failed, or this has: the next one shall not.
            delete(context, self.name, force=True)
            raise

    def assert_own(self, pid: int) -> None:
        """Of the host's file systems the zone can reach nothing but what it was given, and harmless nodes."""
        found = proc.mountinfo(pid)
        assert found
        hosts = {(mount.major, mount.minor) for mount in proc.mountinfo()}
        for entry in found:
            if (entry.major, entry.minor) in hosts and entry.fstype != "cgroup2" and entry.root not in _NODES:
                assert entry.root.startswith((str(self.given), self._copy())), entry

    def _copy(self) -> str:
        return f"{self.world.context.paths.zone_dir(self.name)}/root"
