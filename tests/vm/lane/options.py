"""What the command line asks of the lane, parsed once."""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

MIB: Final = 1 << 20
# The lane reads sizes itself: it must work when the code that it tests does not even import.
_SIZE: Final = re.compile(r"(\d+)\s*([MG])?(?:I?B)?", re.ASCII | re.IGNORECASE)

_DESCRIPTION: Final = """\
Run COMMAND on a kernel of its own, with pure cgroup v2, in a virtual machine whose root is this machine's
root file system: read-only, below a tmpfs. COMMAND has the caller's folder and environment, and no input
or network. What it writes outside of --rw folders is lost."""

_EPILOG: Final = """\
Exit status: the command's own, 128+N if signal N ended it; 124 when the time is over, 125 when the lane
failed, 128+N when signal N stopped the lane. In the guest ZONECTL_LANE is kvm or tcg, and ZONECTL_LANE_DISK
the device of an empty ext4 file system on /scratch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One run of the lane. Folders are absolute and resolved."""

    command: tuple[str, ...]
    stock: bool = False
    rw: tuple[Path, ...] = ()
    disk_bytes: int = 2048 * MIB
    nbd: Path | None = None
    memory_bytes: int = 4096 * MIB
    cpus: int = 2
    timeout_s: float = 1200.0
    verbose: bool = False
    append: str = ""


def parse_size(text: str) -> int:
    """Bytes of a size such as 512M, 2G or 2GiB; a bare number counts MiB. Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write it like 512M or 2G")
    return int(match[1]) * (1024 * MIB if (match[2] or "M") in "Gg" else MIB)


def parse(argv: Sequence[str]) -> Options:
    """Options of a command line; argparse ends the process on a mistake or --help."""
    given = _parser().parse_args(argv)
    return Options(
        command=tuple(given.command),
        stock=given.stock,
        rw=tuple(given.rw),
        disk_bytes=given.disk,
        nbd=given.nbd,
        memory_bytes=given.memory,
        cpus=given.cpus,
        timeout_s=given.timeout,
        verbose=given.verbose,
        append=given.append,
    )


def default_cache() -> Path:
    """Where kernels are kept between runs."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches, "zonectl-lane")


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder")
    return Path(text).resolve()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.vm.lane",
        usage="%(prog)s [options] -- COMMAND [ARG...]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--stock", action="store_true", help="the distribution's own kernel, not the newest that apt knows")
    add(
        "--rw",
        action="append",
        type=_folder,
        default=[],
        metavar="DIR",
        help="share DIR for writing; repeatable",
    )
    add(
        "--disk",
        type=_size,
        default="2G",
        metavar="SIZE",
        help="scratch disk, sparse (default 2G, 0 for none)",
    )
    add(
        "--nbd",
        type=Path,
        metavar="SOCKET",
        help="the scratch disk is served there (NBD, ext4), and outlives the machine",
    )
    add("--memory", type=_size, default="4G", metavar="SIZE", help="the guest's memory (default 4G)")
    add("--cpus", type=int, default=2, metavar="N", help="the guest's processors (default 2)")
    add(
        "--timeout",
        type=float,
        default=1200.0,
        metavar="SECONDS",
        help="give up after this time (default 1200)",
    )
    add("--append", default="", metavar="ARGS", help="more kernel parameters")
    add("--verbose", action="store_true", help="show the guest's console on stderr")
    add("command", nargs="+", metavar="COMMAND", help=argparse.SUPPRESS)
    return parser
