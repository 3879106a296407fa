"""The step that keeps parts of /proc and /sys from the zone (`model.masks` has the lists)."""

from __future__ import annotations

from dataclasses import dataclass

from zonectl.model.masks import GUARDED_BY_IDS, MASKED_FILES, MASKED_FOLDERS, NET_SYSCTLS, READ_ONLY, kept
from zonectl.model.steps import Call, Side
from zonectl.namespaces.steps.mounts import STAGING

COVERS = "covers"
"""What is in the staging folder for this: a read-only mount, whose flag all mounts of parts of it take over."""

NO_FILE = "file"
"""The empty file in it, which covers files."""

NO_FOLDER = "folder"
"""The empty folder in it, which covers folders."""

KERNEL_MOUNTS = ("/proc", "/sys")
"""The mounts in which paths are masked."""

_REMOUNT = "MS_REMOUNT|MS_BIND|MS_RDONLY|MS_NOSUID|MS_NODEV|MS_NOEXEC"


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskPaths:
    """Cover `files` and `folders` with an empty one, and make `readonly` unwritable, save `writable` in them."""

    files: tuple[str, ...]
    folders: tuple[str, ...]
    readonly: tuple[str, ...]
    writable: tuple[str, ...]
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "keep what is the host's in /proc and /sys from the zone"

    @property
    def calls(self) -> tuple[Call, ...]:
        """The covers, then, in each mount, one bind for what is covered, and one more to make a path read-only."""
        covers = (
            Call(name="mkdir", target=COVERS, man="mkdir(2)"),
            Call(name="mkdir", target=f"{COVERS}/{NO_FOLDER}", man="mkdir(2)"),
            Call(name="openat", target=f"{COVERS}/{NO_FILE}", detail="O_CREAT|O_EXCL", man="open(2)"),
            Call(name="fchmod", target=f"{COVERS}/{NO_FILE}", detail="0444", man="chmod(2)"),
            _bind(COVERS),
            _remount(COVERS),
        )
        back = Call(name="chdir", target=STAGING, man="chdir(2)")
        return (*covers, *(call for mount in KERNEL_MOUNTS for call in self._calls_in(mount)), back)

    def within(self, mount: str, paths: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `paths` that lie in `mount`, relative to it."""
        return tuple(path.removeprefix(f"{mount}/") for path in paths if path.startswith(f"{mount}/"))

    def _calls_in(self, mount: str) -> tuple[Call, ...]:
        covered = self.within(mount, (*self.files, *self.folders))
        readonly, writable = self.within(mount, self.readonly), self.within(mount, self.writable)
        if not covered and not readonly:
            return ()
        return (
            Call(name="fchdir", target=mount, man="chdir(2)"),
            *(_bind(path) for path in covered),
            *(_bind(path) for path in (*readonly, *writable)),
            *(_remount(path) for path in readonly),
        )


def _bind(path: str) -> Call:
    return Call(name="mount", target=path, detail="MS_BIND", man="mount(2)")


def _remount(path: str) -> Call:
    return Call(name="mount", target=path, detail=_REMOUNT, man="mount(2)")


def mask_step(
    *, unmask: tuple[str, ...], there: frozenset[str], own_ids: bool, own_net: bool
) -> MaskPaths | None:
    """What is masked of what is `there`, where the zone file shows `unmask`; None where nothing is."""
    spared = GUARDED_BY_IDS if own_ids else frozenset()
    paths = [path for path in kept(unmask) if path in there and path not in spared]
    if not paths:
        return None
    readonly = tuple(path for path in READ_ONLY if path in paths)
    return MaskPaths(
        files=tuple(path for path in MASKED_FILES if path in paths),
        folders=tuple(path for path in MASKED_FOLDERS if path in paths),
        readonly=readonly,
        writable=(NET_SYSCTLS,) if own_net and "/proc/sys" in readonly else (),
    )
