"""resolv.conf and hosts."""

from __future__ import annotations

from zonectl.model.config import NetworkConfig, NetworkMode
from zonectl.network.dns import hosts, resolv_conf

HOST = """\
# made by somebody
search example.org example.net
nameserver 127.0.0.53
nameserver ::1
nameserver 192.0.2.53
;nameserver 192.0.2.99
nameserver fe80::1%eth0
nameserver 0.0.0.0
nameserver nonsense
nameserver
options edns0
"""


def test_configured_servers_are_all_there_is() -> None:
    assert resolv_conf(NetworkConfig(dns=("192.0.2.1", "2001:db8::1")), HOST) == (
        "nameserver 192.0.2.1\nnameserver 2001:db8::1\n"
    )


def test_the_hosts_servers_less_those_on_loopback() -> None:
    assert resolv_conf(NetworkConfig(), HOST) == (
        "search example.org example.net\noptions edns0\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\n"
    )


def test_a_zone_in_the_hosts_network_gets_the_hosts_text() -> None:
    assert resolv_conf(NetworkConfig(mode=NetworkMode.HOST), HOST) == HOST


def test_nothing_from_nothing() -> None:
    assert resolv_conf(NetworkConfig(), "") == ""


def test_hosts_names_the_zone() -> None:
    assert hosts("web", "10.77.0.5/16").splitlines()[-1] == "10.77.0.5\tweb"
    assert hosts("web", None).splitlines()[-1] == "127.0.1.1\tweb"
    assert hosts("web", None).splitlines()[0] == "127.0.0.1\tlocalhost"
