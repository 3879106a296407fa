"""Probes of the file system."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.e2e.instance import Done
from tests.hostile.arms import ExecArm, InitArm, read, refused
from tests.hostile.groups.keys import ANY_DEVICE, POWERFUL
from tests.hostile.probe import Group, Outcome, Probe, Removal, Verdict, broke, held, named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.hostile.arms import Arm

_IDS = "the zone's own ids: its capabilities are over itself"


@contextmanager
def _open_folder(arm: Arm) -> Iterator[int]:
    """The canary's folder, open, in a descriptor that programs inherit."""
    folder = os.open(os.path.dirname(arm.values["canary"]), os.O_RDONLY | os.O_DIRECTORY)
    os.set_inheritable(folder, True)
    try:
        yield folder
    finally:
        os.close(folder)


def _leak(arm: Arm) -> Outcome:
    with _open_folder(arm) as folder:
        return arm.probe("filesystem", "descriptors", "canary", pass_fds=(folder,))


def _work_in_a_leak(arm: Arm) -> Outcome:
    """The working directory by a magic link to a descriptor that has not been closed yet."""
    with _open_folder(arm) as folder:
        if not isinstance(arm, InitArm | ExecArm):
            return arm.probe("filesystem", "working-directory", "canary", cwd=f"/proc/self/fd/{folder}")
        there = arm.at(f"/proc/self/fd/{folder}")
        done = there.execute(*there.program("filesystem", "working-directory", "canary"), pass_fds=(folder,))
        return held("ENOENT", done.err.strip()) if refused(done) else read(done)


def _propagate(arm: Arm) -> Outcome:
    """A mount below a folder that the host shares: is it there on the host, too?"""
    with arm.scene.sharing() as place:
        if isinstance(arm, ExecArm):
            with arm.scene.anew("shared", arm.keys) as zone:
                outcome = arm.of(zone).probe("filesystem", "mount-over", "{shared}/point")
        elif arm.inside:
            outcome = arm.probe("filesystem", "mount-over", "{shared}/point")
        else:
            words = [
                "unshare",
                "--mount",
                "--propagation",
                "unchanged",
                *arm.program("filesystem", "mount-over", str(place)),
            ]
            done = subprocess.run(words, check=False, capture_output=True)
            outcome = read(Done(done.returncode, done.stdout, done.stderr))
        if outcome.verdict is not Verdict.BROKE:
            return outcome
        return (
            broke("mounted on the host")
            if os.path.ismount(place)
            else held("", "mounted, and not on the host")
        )


def _loosen(flag: str) -> Callable[[Arm], Outcome]:
    def attempt(arm: Arm) -> Outcome:
        if arm.inside:
            return arm.probe("filesystem", "loosen", "{work}", flag)
        program, *words = arm.program("filesystem", "loosen", "/mnt", flag)
        script = f"mount -t tmpfs -o {flag} none /mnt && exec {program} {' '.join(words)}"
        return read(arm.execute("sh", "-c", script))

    return attempt


def _watch(arm: Arm) -> Outcome:
    """Look at every process that comes into the zone by exec; on the host, at those that are there.

    It is there too short a time to be seen for certain: where it can be seen, more of them come until one is.
    """
    scene = arm.scene
    whose = "zonectl-entry" if arm.inside else "python"
    with arm.popen(*arm.program("filesystem", "watch", whose), stdout=subprocess.PIPE) as watcher:
        if arm.inside:
            zone = arm.zone if isinstance(arm, ExecArm) else scene.running("default")
            for _ in range(100 if arm.keys else 20):
                if watcher.poll() is not None:
                    break
                scene.z.exec(zone, "true")
            # Where the watcher is the zone's init, it may end before this does, which then is killed.
            ends = {0} if isinstance(arm, ExecArm) else {0, 128 + signal.SIGKILL}
            touched = scene.z.exec(zone, "touch", "/tmp/enough", code=None)
            assert touched.code in ends, touched
        out, _ = watcher.communicate(timeout=60)
        if arm.inside and isinstance(arm, ExecArm):
            scene.z.exec(arm.zone, "rm", "/tmp/enough")
    return read(Done(watcher.returncode, out, b""))


def _probe(name: str, source: str, *words: str, attempt: Callable[[Arm], Outcome] | None = None,
           protection: str, keys: tuple[str, ...], base: str = "default",
           errnos: frozenset[str] | None = None, harnessed: str = "", apart: bool = False) -> Probe:  # fmt: skip
    return Probe(
        name=name,
        group=Group.FILESYSTEM,
        source=source,
        words=words,
        attempt=attempt,
        errnos=errnos if errnos is not None else named(),
        protection=protection,
        removal=Removal(keys=keys, harnessed=harnessed, apart=apart),
        base=base,
    )


PROBES = (
    _probe(
        "handle-file",
        "shocker: a file of the host's by its number",
        "handle-file",
        "{work}",
        "{handle_kind}",
        "{handle}",
        base="binds",
        protection=_IDS,
        keys=POWERFUL,
    ),
    _probe(
        "handle-folder",
        "the same with a folder, which Linux 6.12 eased",
        "handle-folder",
        "{work}",
        "{folder_handle_kind}",
        "{folder_handle}",
        base="binds",
        protection=_IDS,
        keys=POWERFUL,
        errnos=named("ESTALE"),
    ),
    _probe(
        "chroot",
        "the way out of every chroot",
        "chroot",
        "{canary}",
        protection="pivot_root: above the zone's root there is nothing; and its mounts are locked",
        keys=("root.switch=chroot", *POWERFUL),
        apart=True,
        errnos=named("ENOENT", "EBUSY", "EINVAL"),
    ),
    _probe(
        "uncover",
        "what the zone's root was mounted over",
        "uncover",
        "{canary}",
        protection="pivot_root: below the zone's root there is nothing; and its mounts are locked",
        keys=("root.switch=chroot", *POWERFUL),
        apart=True,
        errnos=named("ENOENT", "EBUSY", "EINVAL"),
    ),
    _probe(
        "remount-writable",
        "a read-only folder of the host's",
        "remount-writable",
        "{share}",
        base="binds",
        protection="an overlay without an upper layer: there is nothing to write to",
        keys=("mount[0].readonly=false",),
        errnos=named("EROFS"),
    ),
    _probe(
        "mknod",
        "the host's devices by a node of one's own",
        "mknod",
        "{work}",
        base="binds",
        protection=f"{_IDS}; and nodev, and the filter of devices",
        keys=(*POWERFUL, "mount[1].dev=true", ANY_DEVICE),
    ),
    _probe(
        "mknod-alone",
        "a node for others to open",
        "mknod-alone",
        "{scratch}",
        protection=_IDS,
        keys=(*POWERFUL, ANY_DEVICE),
    ),
    _probe(
        "node",
        "a node that is in the folder already",
        "node",
        "{work}/node",
        base="binds",
        protection="nodev",
        keys=("mount[1].dev=true", ANY_DEVICE),
    ),
    _probe(
        "suid",
        "a set-user-ID program of the host's in a shared folder",
        "suid",
        "{work}/suid",
        base="binds",
        protection="nosuid",
        keys=("mount[1].suid=true",),
    ),
    _probe(
        "trusted-attribute",
        "CVE-2021-3493: what overlay believes",
        "trusted-attribute",
        "{work}/folder",
        base="binds",
        protection=_IDS,
        keys=POWERFUL,
    ),
    _probe(
        "filesystem",
        "CVE-2022-0185: file systems that trust their disks",
        "filesystem",
        "ext4",
        protection=_IDS,
        keys=POWERFUL,
        errnos=named("ENOSYS"),
    ),
    _probe(
        "immutable",
        "files that not even the host's root can remove",
        "immutable",
        "{work}/folder",
        base="binds",
        protection=_IDS,
        keys=POWERFUL,
    ),
    _probe("descriptors", "CVE-2024-21626: what the caller had open", attempt=_leak,
           protection="every descriptor closed", keys=(), errnos=named("EBADF"), harnessed="closed-descriptors"),
    _probe("folder-by-descriptor", "CVE-2024-21626: a working directory that is a descriptor", attempt=_work_in_a_leak,
           protection="every descriptor closed; and the working directory verified", keys=(),
           errnos=named("ENOENT"), harnessed="closed-descriptors+verified-folder"),
    _probe("propagation", "mounts that come to be on the host", attempt=_propagate, base="shared",
           protection="mounts of the zone's own: it only receives", keys=POWERFUL, errnos=named("")),
    *(
        _probe(f"loosen-{flag}", f"a shared folder made to forget {flag}", attempt=_loosen(flag), base="binds",
               protection="the flags of mounts are locked; and no mounts by root of the zone", keys=POWERFUL)
        for flag in ("nosuid", "nodev")
    ),
    _probe("joining-process", "CVE-2016-9962, CVE-2019-5736: the runtime while it comes in",
           attempt=_watch, protection="not dumpable; and the zone's own ids", keys=POWERFUL,
           errnos=named("ENOENT")),
    _probe("runtimes-binary", "CVE-2019-5736: the host's program that is process 1", "overwrite", "{runtime}",
           base="reaper", protection="the zone's own ids: the file belongs to nobody there", keys=POWERFUL),
)  # fmt: skip
