"""The echo server on the host that the network's workloads of all arms talk to."""

from __future__ import annotations

import os
import re
import select
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from zonectl.bench.hosted import Hosted, Pipes, hosted
from zonectl.errors import BenchError
from zonectl.model.config import NetworkMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zonectl.bench.workloads import Workload
    from zonectl.model.config import ZoneConfig

_IPERF: Final = "iperf"
"""What the probe calls the workload that needs another server."""

_READY_S: Final = 30.0
_CHUNK_BYTES: Final = 4096
_ANNOUNCEMENT: Final = re.compile(rb"([0-9.]+:[0-9]{1,5})\n")


@contextmanager
def server(
    config: ZoneConfig, *, probe: str, processor: int, tasks: Iterable[Workload] = ()
) -> Iterator[str | None]:
    """The server's "ADDRESS:PORT", the same for every arm: the bridge's, or loopback where the zone shares it.

    The neighbours' zones reach it too: it is nobody, and starts iperf3's server only if that is one of the `tasks`.
    It runs on all processors but the measured one, if there are others. None where the zone reaches no host by IPv4.
    The bridge need not be there yet.

    Raises:
        BenchError: it does not come up.
        SyscallError: there can be no such process.

    """
    address = _address(config)
    if address is None:
        yield None
        return
    with ExitStack() as held:
        streams = Pipes(held)
        iperf = ("iperf3",) if any(task.asks == _IPERF for task in tasks) else ()
        argv = (probe, "echo", address, "0", *iperf)
        given = Hosted(argv=argv, folder="/", config=_elsewhere(config, processor))
        held.enter_context(hosted(given, streams))
        yield _announced(streams.answers)


def _address(config: ZoneConfig) -> str | None:
    match config.network.mode:
        case NetworkMode.NONE:
            return None
        case NetworkMode.HOST:
            return "127.0.0.1"
        case NetworkMode.VETH:
            router = config.network.router
            return router if ip_address(router).version == 4 else None  # noqa: PLR2004 - the protocol's name


def _elsewhere(config: ZoneConfig, processor: int) -> ZoneConfig:
    others = sorted(os.sched_getaffinity(0) - {processor}) or [processor]
    affinity = ",".join(map(str, others))
    return replace(config, process=replace(config.process, affinity=affinity))


def _announced(answers: int) -> str:
    said, deadline = b"", time.monotonic() + _READY_S
    while not (found := _ANNOUNCEMENT.fullmatch(said)):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([answers], [], [], left)[0]:
            raise BenchError(f"the server of the network's workloads said nothing within {_READY_S:g} s")
        data = os.read(answers, _CHUNK_BYTES)
        if not data or len(said) > _CHUNK_BYTES:
            raise BenchError("the server of the network's workloads has not come up")
        said += data
    return found[1].decode()
