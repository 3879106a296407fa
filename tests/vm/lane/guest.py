"""What the guest is told: its shell stages (stages/*.sh) and the files that differ from run to run.

initramfs.sh puts the root together, system.sh sets the machine up, session.sh runs the command and reports.
All of it lies in /lane of the initramfs, and in /run/lane afterwards.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.vm.lane.kernel_package import Kernel
    from tests.vm.lane.modules import StaticNode

STAGES: Final = Path(__file__).parent / "stages"
SCRATCH_DEVICE: Final = "/dev/vda"
# Variables that describe the caller's session rather than its environment.
SESSION_VARIABLES: Final = frozenset({"PWD", "OLDPWD", "SHLVL", "_", "TMPDIR", "XDG_RUNTIME_DIR"})
TMP: Final = Path("/tmp")
_VARIABLE: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What is to run, as if it had been called right here."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    umask: int


def stage(name: str) -> bytes:
    """The text of one of the guest's shell stages."""
    return (STAGES / f"{name}.sh").read_bytes()


def command_script(command: Command) -> str:
    """The shell script that becomes the command."""
    variables = {name: value for name, value in command.environment.items() if _is_passed(name)}
    lines = [
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        f"umask {command.umask:04o}",
        f"cd {shlex.quote(str(command.folder))} || exit 125",
        f"exec {shlex.join(command.argv)}",
    ]
    return _text(lines)


def settings(kernel: Kernel, *, token: str, disk: str) -> str:
    """Variables of the stages; disk is the scratch device or empty."""
    variables = {"MODULES": str(kernel.modules), "RELEASE": kernel.release, "TOKEN": token, "DISK": disk}
    return _text(f"{name}={shlex.quote(value)}" for name, value in variables.items())


def kept(folders: Iterable[Path]) -> str:
    """Calls that keep folders of the host's /tmp in the guest's new one; other folders need no keeping."""
    inside = {folder for folder in folders if folder.is_relative_to(TMP) and folder != TMP}
    return _text(f"keep {shlex.quote(str(folder))}" for folder in sorted(inside))


def shares(tagged: Mapping[str, Path]) -> str:
    """Calls that mount the writable shares at the paths which they have on the host."""
    return _text(f"share {tag} {shlex.quote(str(folder))}" for tag, folder in tagged.items())


def nodes(static: Iterable[StaticNode]) -> str:
    """Calls that make device nodes."""
    return _text(f"node {shlex.quote(node.path)} {node.kind} {node.major} {node.minor}" for node in static)


def _is_passed(name: str) -> bool:
    return _VARIABLE.fullmatch(name) is not None and name not in SESSION_VARIABLES


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
