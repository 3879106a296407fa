"""A small world of network namespaces, made inside a forked child and gone with it.

`host` plays the host of the zones, `outside` the network beyond it, each zone has one of its own. What the room does
is done in `host` or in a zone's namespace, by entering it: the real host is never touched.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.patience import until
from zonectl.model.config import NetworkConfig
from zonectl.model.instance import Instance
from zonectl.model.steps import Binding
from zonectl.network import gate, inside, shared, veth
from zonectl.network.steps import MakeVeth, host_steps, inside_steps, shared_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLONE_NEWNET = 0x40000000
PATIENCE_S = 20.0
SHORT_S = 0.6
_PAUSE_S = 0.05
INSTANCE = Instance(root="/tests/network")
OTHER_INSTANCE = Instance(root="/tests/network/other")

_libc = ctypes.CDLL(None, use_errno=True)


def in_child(test: Callable[[], None]) -> None:
    """Run the test in a forked child; its traceback is this process's failure."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            test()
            status = 0
        except BaseException:  # noqa: BLE001 - handed over as text
            os.write(writing, traceback.format_exc().encode()[-60000:])
        finally:
            sys.stdout.flush()
            os._exit(status)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        words = pipe.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, words or f"the child ended with {status}"


def new_namespace() -> int:
    """A descriptor of a new network namespace; the caller stays where it is."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    assert _libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    made = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    assert _libc.setns(here, CLONE_NEWNET) == 0
    os.close(here)
    return made


@contextmanager
def entered(namespace: int) -> Iterator[None]:
    """In that network namespace, and back."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    assert _libc.setns(namespace, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        assert _libc.setns(here, CLONE_NEWNET) == 0
        os.close(here)


def run(*argv: str, stdin: str = "") -> str:
    """Run a program in the current namespace."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


@dataclass
class Zone:
    """A connected namespace."""

    namespace: int
    step: MakeVeth
    address: str

    @property
    def ip(self) -> str:
        """Without prefix."""
        return self.address.partition("/")[0]


@dataclass
class World:
    """The host's namespace, in which the test is, and those around it."""

    host: int
    outside: int
    instance: Instance = INSTANCE
    zones: list[Zone] = field(default_factory=list)

    def share(self, config: NetworkConfig, instance: Instance | None = None) -> None:
        """What a start does first."""
        shared.ensure(shared_steps(config, instance or self.instance), lock=nullcontext())

    def remove_gate(self, bridge: str = "zbr0") -> None:
        """Take away what refuses to route packets that the rules have not seen."""
        gate.remove(self.instance)
        settings(f"/proc/sys/net/ipv4/conf/{bridge}/rp_filter", "0")

    def zone(self, config: NetworkConfig, address: str, gateway: str) -> Zone:
        """Connect a new zone."""
        binding = Binding(
            zone_id=f"{len(self.zones) + 1:08x}",
            first_id="0",
            address=address,
            gateway=gateway,
            zone_dir="/",
            layers=(),
        )
        (step,) = host_steps(config, self.instance, binding)
        namespace = new_namespace()
        veth.apply(step, netns_fd=namespace)
        with entered(namespace):
            for one in inside_steps(config, binding):
                inside.apply(one)
        made = Zone(namespace=namespace, step=step, address=address)
        self.zones.append(made)
        return made

    def zone4(self, number: int, config: NetworkConfig | None = None) -> Zone:
        """A zone with the address 10.77.0.`number`."""
        return self.zone(config or NetworkConfig(), f"10.77.0.{number}/16", "10.77.0.1")


def in_world(test: Callable[[World], None]) -> None:
    """Run the test in a forked child, in the host's namespace of a new world."""

    def child() -> None:
        host, outside = new_namespace(), new_namespace()
        with entered(outside):
            run("ip", "link", "set", "lo", "up")
        assert _libc.setns(host, CLONE_NEWNET) == 0
        here = f"/proc/{os.getpid()}/fd/{outside}"
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "o0", "netns", here)
        run("ip", "address", "add", "192.0.2.1/24", "dev", "up0")
        run("ip", "link", "set", "up0", "up")
        with entered(outside):
            run("ip", "address", "add", "192.0.2.2/24", "dev", "o0")
            run("ip", "link", "set", "o0", "up")
        # The kernel writes down later that a link has become usable, and tests compare links.
        until(lambda: "state UP" in run("ip", "link", "show", "dev", "up0"))
        test(World(host=host, outside=outside))

    in_child(child)


@contextmanager
def listening(namespace: int, address: str, port: int = 7777) -> Iterator[socket.socket]:
    """A TCP server in that namespace."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with entered(namespace):
        server = socket.socket(family)
    with server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen()
        server.settimeout(PATIENCE_S)
        yield server


def reaches(
    here: int, there: int, address: str, *, source: str | None = None, patience_s: float = PATIENCE_S
) -> str | None:
    """Connect from one namespace to `address` in another: who the server sees, or None where nothing comes.

    Over and over: a neighbour that was asked for in vain while it was blocked is given up, and refuses (EHOSTUNREACH)
    whoever waits for it at that moment.
    """
    with listening(there, address) as server:
        end = time.monotonic() + patience_s
        while (left_s := end - time.monotonic()) > 0:
            with _client(here, server.family, source) as client, suppress(OSError):
                client.settimeout(left_s)
                client.connect((address, 7777))
                connection, peer = server.accept()
                connection.close()
                return str(peer[0])
            time.sleep(_PAUSE_S)
    return None


@contextmanager
def _client(namespace: int, family: int, source: str | None) -> Iterator[socket.socket]:
    with entered(namespace):
        client = socket.socket(family)
    with client:
        if source:
            client.bind((source, 0))
        yield client


def is_blocked(here: int, there: int, address: str, *, source: str | None = None) -> bool:
    """Whether a connection that nothing stops in the same test does not come about."""
    return reaches(here, there, address, source=source, patience_s=SHORT_S) is None


def settings(path: str, value: str) -> None:
    """Write a setting of the current namespace."""
    Path(path).write_text(value, encoding="ascii")


def in_threads(count: int, work: Callable[[int], None]) -> list[BaseException]:
    """Run `work(0…count-1)` at once; what was raised."""
    raised: list[BaseException] = []

    def one(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - reported
            raised.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised
