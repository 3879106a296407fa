"""The bundle of the OCI runtime specification that crun and runc run: the runtime's own default, and our root in it.

Source: https://github.com/opencontainers/runtime-spec (config.md), and `runc spec`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zonectl.bench import site
from zonectl.errors import BenchError
from zonectl.kernel import command

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPEC_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """The folder `source` of the host, seen as `target`."""

    source: str
    target: str
    readonly: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What is to be run: `argv` in `root`. `group` is a control group's path below the cgroup2 mount."""

    root: str
    argv: Sequence[str]
    binds: tuple[Bind, ...]
    group: str | None


def make(runtime: str, folder: str, wanted: Bundle) -> None:
    """Make the bundle in the new folder, from the default that the runtime's `spec` gives.

    Raises:
        BenchError: that is not what the specification says.
        CommandError: the runtime gives none.
        StoreError: it cannot be written.

    """
    site.make_folder(folder)
    command.run([runtime, "spec"], timeout_s=_SPEC_S, cwd=folder)
    path = f"{folder}/config.json"
    with site.making(path):
        _fill(runtime, path, wanted)


def _fill(runtime: str, path: str, wanted: Bundle) -> None:
    try:
        with open(path, encoding="utf-8") as file:
            spec = json.load(file)
        spec["process"] |= {"terminal": False, "args": list(wanted.argv), "cwd": "/"}
        # A root without CAP_SYS_RESOURCE may not raise limits.
        spec["process"].pop("rlimits", None)
        spec["root"] = {"path": wanted.root, "readonly": False}
        spec["mounts"] += [_mount(bind) for bind in wanted.binds]
        if wanted.group is not None:
            spec["linux"]["cgroupsPath"] = wanted.group
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{runtime} spec gives no specification: {error}") from error
    with open(path, "w", encoding="utf-8") as file:
        json.dump(spec, file)


def _mount(bind: Bind) -> dict[str, object]:
    options = ["rbind", "ro" if bind.readonly else "rw"]
    return {"destination": bind.target, "type": "bind", "source": bind.source, "options": options}
