"""The step that keeps parts of /proc and /sys from the zone (`model.masks` has the lists)."""

from __future__ import annotations

from dataclasses import dataclass

from zonectl.model.masks import MASKED_FILES, MASKED_FOLDERS, NET_SYSCTLS, READ_ONLY, kept
from zonectl.model.steps import Call, Side
from zonectl.namespaces.steps.mounts import STAGING

NO_FILE = "no-file"
"""The empty file in the staging folder that covers files."""

NO_FOLDER = "no-folder"
"""The empty folder there that covers folders."""

KERNEL_MOUNTS = ("/proc", "/sys")
"""The mounts in which paths are masked."""

_REMOUNT = "MS_REMOUNT|MS_BIND|MS_RDONLY|MS_NOSUID|MS_NODEV|MS_NOEXEC"
_WHEN = "when the kernel has it"


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
            Call(name="openat", target=NO_FILE, detail="O_CREAT|O_EXCL", man="open(2)"),
            *_made_readonly(NO_FILE),
            Call(name="mkdir", target=NO_FOLDER, man="mkdir(2)"),
            *_made_readonly(NO_FOLDER),
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
            *(_remount(path, when=_WHEN) for path in readonly),
        )


def _made_readonly(name: str) -> tuple[Call, ...]:
    return _bind(name, when=""), _remount(name, when="")


def _bind(path: str, *, when: str = _WHEN) -> Call:
    return Call(name="mount", target=path, detail="MS_BIND", man="mount(2)", when=when)


def _remount(path: str, *, when: str) -> Call:
    return Call(name="mount", target=path, detail=_REMOUNT, man="mount(2)", when=when)


def mask_step(*, unmask: tuple[str, ...], own_net: bool) -> MaskPaths | None:
    """What is masked where the zone file shows `unmask`; None where nothing is."""
    paths = kept(unmask)
    if not paths:
        return None
    readonly = tuple(path for path in READ_ONLY if path in paths)
    return MaskPaths(
        files=tuple(path for path in MASKED_FILES if path in paths),
        folders=tuple(path for path in MASKED_FOLDERS if path in paths),
        readonly=readonly,
        writable=(NET_SYSCTLS,) if own_net and "/proc/sys" in readonly else (),
    )
