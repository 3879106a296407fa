"""Zones on the host's network: who reaches whom, translation, repair, and many at once."""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.instance import Zonectl

SERVER = """
import socketserver, sys
class Answer(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(self.client_address[0].encode() + b"\\n")
socketserver.TCPServer.allow_reuse_address = True
with socketserver.TCPServer((sys.argv[1], 7000), Answer) as server:
    print("up", flush=True)
    server.serve_forever()
"""
CALL = """
import socket, sys
with socket.create_connection((sys.argv[1], 7000), 2) as call:
    print(call.recv(100).decode())
"""
ANSWER = "while :; do echo here | nc -l -p 7000; done"


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Outside:
    """A network beyond the host: `server` is an address in it, `host` the host's address there."""

    pid: int
    server: str
    host: str

    @property
    def words(self) -> list[str]:
        """What makes a command run in it."""
        return ["nsenter", "--target", str(self.pid), "--net"]

    def run(self, *argv: str) -> str:
        """Run a program in it."""
        return run(*self.words, *argv)


@contextmanager
def outside(z: Zonectl) -> Iterator[Outside]:
    """A network with one server in it, which answers each call with the address that it sees."""
    link, number = f"{z.bridge}l", z.network.split(".")
    near, far = (f"172.{16 + int(number[1]) % 16}.{number[2]}.{last}" for last in (1, 2))
    with subprocess.Popen(["unshare", "--net", "sleep", "1000"]) as holder:
        try:
            until(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != os.readlink("/proc/self/ns/net"))
            beyond = Outside(holder.pid, server=far, host=near)
            run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
            run("ip", "addr", "add", f"{near}/30", "dev", link)
            run("ip", "link", "set", link, "up")
            beyond.run("ip", "addr", "add", f"{far}/30", "dev", "eth0")
            beyond.run("ip", "link", "set", "eth0", "up")
            with subprocess.Popen(
                [*beyond.words, "/usr/bin/python3", "-c", SERVER, far], stdout=subprocess.PIPE
            ) as server:
                assert server.stdout is not None
                assert server.stdout.readline() == b"up\n"
                try:
                    yield beyond
                finally:
                    server.kill()
        finally:
            holder.kill()
    subprocess.run(["ip", "link", "delete", link], check=False, capture_output=True)


def ask(z: Zonectl, zone: str, address: str) -> str:
    """What the server at the address says to the zone; empty if it is not reached."""
    return z.exec(zone, "nc", "-w", "2", address, "7000", code=None).out.strip()


@pytest.fixture
def two(z: Zonectl) -> Zonectl:
    z.define("left", ANSWER)
    z.define("right", ANSWER)
    z("start", "left", "right")
    return z


def address(z: Zonectl, name: str) -> str:
    return str(z.list()[name]["address"]).partition("/")[0]


def listens(z: Zonectl, name: str) -> None:
    """Wait until the zone's server listens (10, proc_net_tcp): there as a process, it may not do so yet."""
    tables = ("/proc/net/tcp", "/proc/net/tcp6")
    until(lambda: re.search(r":1B58 \S+ 0A ", z.exec(name, "cat", *tables, code=None).out))


def test_outside_sees_the_host(two: Zonectl) -> None:
    with outside(two) as beyond:
        assert ask(two, "left", beyond.server) == beyond.host
        # The other way round nobody gets in.
        done = subprocess.run(
            [*beyond.words, "ping", "-c", "1", "-W", "1", address(two, "left")],
            check=False,
            capture_output=True,
        )
        assert done.returncode != 0


def test_without_translation_outside_sees_the_zone(z: Zonectl) -> None:
    z.define("bare", more="[network]\nnat = false\n")
    z("start", "bare")
    with outside(z) as beyond:
        beyond.run("ip", "route", "add", z.subnet, "via", beyond.host)
        assert ask(z, "bare", beyond.server) == address(z, "bare")


def test_isolated_zones_do_not_reach_each_other(two: Zonectl) -> None:
    for here, there in (("left", "right"), ("right", "left")):
        listens(two, there)
        assert ask(two, here, address(two, there)) == ""
        two.exec(here, "ping", "-c", "1", "-W", "1", address(two, there), code=1)
        two.exec(here, "ping", "-c", "1", "-W", "2", f"{two.network}.1")


def test_open_zones_reach_each_other(z: Zonectl) -> None:
    for name, isolated in (("left", "false"), ("right", "false"), ("closed", "true")):
        z.define(name, ANSWER, more=f"[network]\nisolated = {isolated}\n")
    z("start", "--all")
    listens(z, "right")
    assert ask(z, "left", address(z, "right")) == "here"
    listens(z, "closed")
    assert ask(z, "left", address(z, "closed")) == ""
    listens(z, "left")
    assert ask(z, "closed", address(z, "left")) == ""


@pytest.mark.fault("a zone takes its neighbour's address", "its own network ends, the neighbour's goes on")
def test_a_taken_address_ends_the_thief_s_network(z: Zonectl) -> None:
    z.define("left", ANSWER, more='[security]\ncapabilities = ["default", "net_admin"]\n')
    z.define("right", ANSWER)
    z("start", "left", "right")
    with outside(z) as beyond:
        assert ask(z, "left", beyond.server) == beyond.host
        stolen = address(z, "right")
        z.exec("left", "ip", "addr", "flush", "dev", "eth0")
        z.exec("left", "ip", "addr", "add", f"{stolen}/24", "dev", "eth0")
        z.exec("left", "ip", "route", "add", "default", "via", f"{z.network}.1", code=None)
        assert ask(z, "left", beyond.server) == ""
        assert ask(z, "right", beyond.server) == beyond.host


@pytest.mark.fault(
    "tables flushed, then tables and bridge deleted, with zones running",
    "the next start mends them, also for the zones that ran",
)
def test_what_somebody_removes_the_next_start_mends(two: Zonectl) -> None:
    with outside(two) as beyond:
        tables = [line.split()[1:] for line in run("nft", "list", "tables").splitlines() if two.mark in line]
        assert sorted(family for family, _ in tables) == ["bridge", "inet"]
        for family, table in tables:
            run("nft", "flush", "table", family, table)
        two.define("third")
        two("start", "third")
        assert ask(two, "third", beyond.server) == beyond.host
        assert ask(two, "left", beyond.server) == beyond.host, (
            "the zones that ran already have their rules back"
        )
        for family, table in tables:
            run("nft", "delete", "table", family, table)
        run("ip", "link", "delete", two.bridge)
        two("restart", "third")
        assert ask(two, "third", beyond.server) == beyond.host


@pytest.mark.fault(
    "the firewall of a running zone is deleted",
    "`degraded`, and nothing leaves or reaches the zone but the host's own; `repair` puts the firewall back",
)
def test_a_lost_firewall_stops_the_traffic(z: Zonectl) -> None:
    z.define("web", ANSWER, more="[network]\nnat = false\n")
    z("start", "web")
    listens(z, "web")
    here = address(z, "web")
    with outside(z) as beyond:
        beyond.run("ip", "route", "add", z.subnet, "via", beyond.host)
        assert ask(z, "web", beyond.server) == here
        for family in ("inet", "bridge"):
            run("nft", "delete", "table", family, f"zonectl_{z.mark}")
        assert z.list()["web"]["degraded"] == ["its firewall rules are gone or altered"]
        assert ask(z, "web", beyond.server) == ""
        assert _called(here, *beyond.words) == ""
        assert _called(here) == "here"
        z("repair", "web")
        assert z.list()["web"]["degraded"] == []
        assert ask(z, "web", beyond.server) == here


def _called(address: str, *where: str) -> str:
    """What is said to who calls from there; empty where nobody answers."""
    argv = [*where, "/usr/bin/python3", "-c", CALL, address]
    return subprocess.run(argv, check=False, capture_output=True, text=True).stdout.strip()


def test_the_bridge_and_the_tables_go_with_the_last_zone(two: Zonectl) -> None:
    assert os.path.exists(f"/sys/class/net/{two.bridge}")
    two("delete", "-f", "left")
    assert os.path.exists(f"/sys/class/net/{two.bridge}")
    two("delete", "-f", "right")
    assert not os.path.exists(f"/sys/class/net/{two.bridge}")
    assert two.mark not in run("nft", "list", "tables")
    assert two.subnet not in run("ip", "rule")


@pytest.mark.fault("the bridge's name is taken by somebody else's", "refused in words; theirs is untouched")
def test_a_bridge_of_somebody_else_is_not_touched(z: Zonectl) -> None:
    run("ip", "link", "add", z.bridge, "type", "bridge")
    try:
        done = z.run("true", code=125)
        assert z.bridge in done.err
        assert len(done.err.splitlines()) <= 2
    finally:
        run("ip", "link", "delete", z.bridge)


def test_a_fixed_address_is_one_zone_s(z: Zonectl) -> None:
    fixed = f'[network]\naddress = "{z.network}.40/24"\n'
    z.define("first", more=fixed)
    done = z("create", "--set", "name=second", str(z.folder / "first.toml"), code=1)
    assert done.err.startswith(f"zonectl: second: the address {z.network}.40 is held by the zone first")
    assert set(z.list()) == {"first"}


def test_a_name_server_and_the_hosts_file(z: Zonectl) -> None:
    z.define("named", more='hostname = "named.example.org"\n[network]\ndns = ["192.0.2.53"]\n')
    z("start", "named")
    assert "nameserver 192.0.2.53" in z.exec("named", "cat", "/etc/resolv.conf").out
    assert z.exec("named", "hostname").out == "named.example.org\n"
    assert "named" in z.exec("named", "cat", "/etc/hosts").out


def test_ipv6(z: Zonectl) -> None:
    prefix = f"fd00:{z.network.split('.')[1]}:{z.network.split('.')[2]}"
    z("create", "--set", f"network.subnet={prefix}::/64", "--set", "network.isolated=false", z.write("six", """
name = "six"
command = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"]
[root]
image = "busybox"
"""))  # fmt: skip
    z("start", "six")
    assert z.list()["six"]["address"] == f"{prefix}::2/64"
    z.exec("six", "ping", "-6", "-c", "1", "-W", "2", f"{prefix}::1")


def test_fifty_zones_at_once(z: Zonectl) -> None:
    text = 'name = "many"\ncommand = ["/bin/sh", "-c", "read x"]\n[root]\nimage = "busybox"\n'
    path = z.write("many", text)
    words = ["run", path, "--", "sh", "-c", "ip -o -4 addr show eth0; read x"]
    clients = [z.popen(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(50)]
    seen = []
    for client in clients:
        assert client.stdout is not None
        seen.append(client.stdout.readline().split()[3])
    assert len(set(seen)) == 50, "all of them are up, each with an address of its own"
    zones = z.list()
    assert len(zones) == 50
    assert len({z.show(name)["ids"]["first"] for name in list(zones)[:10]}) == 10
    for client in clients:
        assert client.stdin is not None
        client.stdin.write(b"\n")
        client.stdin.close()
    assert [client.wait(30) for client in clients] == [0] * 50
    for client in clients:
        assert client.stdout is not None
        client.stdout.close()
    assert z.list() == {}


@pytest.mark.fault(
    "a start while the last zone's delete takes the bridge away", "the started zone is connected"
)
def test_a_zone_started_while_the_last_one_is_deleted_is_connected(z: Zonectl) -> None:
    """The delete takes bridge and tables with it, unless the start was first."""
    for turn in range(5):
        z.define("last")
        z("start", "last")
        deleting = z.popen("delete", "-f", "last", stderr=subprocess.PIPE)
        time.sleep(0.02 * turn)
        z.define("next")
        z("start", "next")
        assert deleting.communicate(timeout=60)[1] == b""
        gateway = z.show("next")["gateway"]
        z.exec("next", "ping", "-c", "1", "-W", "2", gateway)
        z("delete", "-f", "next")
