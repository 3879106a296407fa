"""show --security: what a zone has that its file does not declare, whoever gave it, and in which line it shows."""

from __future__ import annotations

import ctypes
import json
import os
import re
import struct
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.patience import until
from zonectl.kernel import bpf
from zonectl.model.instance import link_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.instance import Zonectl

    Tampering = Callable[["Zone"], None]

pytestmark = pytest.mark.requires("program:nsenter", "program:mount", "program:ip", "program:nft")

COMMAND = """["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"]"""


class Zone:
    """A running zone, as the host's root sees it."""

    def __init__(self, z: Zonectl) -> None:
        self.z = z
        self.known = z.show("a")

    @property
    def pid(self) -> int:
        return int(self.known["pid"])

    @property
    def group(self) -> Path:
        return Path(self.known["cgroup"])

    @property
    def link(self) -> str:
        return link_name(self.known["id"])

    def audit(self, *, code: int | None = None) -> dict[str, Any]:
        return dict(json.loads(self.z("show", "--security", "--json", "a", code=code).out))

    def finding(self, name: str) -> dict[str, str]:
        (found,) = [each for each in self.audit()["findings"] if each["name"] == name]
        return dict(found)

    def edit(self, old: str, new: str) -> None:
        """Change the zone's file while the zone runs."""
        file = self.z.root / "zones/a/zone.toml"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    def enter(self, *command: str) -> None:
        """As the host's root, in the zone's mount namespace."""
        host("nsenter", f"--mount=/proc/{self.pid}/ns/mnt", *command)


@pytest.fixture
def z(shared: Zonectl) -> Iterator[Zonectl]:
    """The module's instance, without a zone before and after."""
    yield shared
    shared("delete", "-f", "--all")


def host(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr


def differing(found: dict[str, Any]) -> list[str]:
    return [
        f"{each['area']}: {each['name']}"
        for each in found["findings"]
        if each["verdict"] not in {"holds", "narrower"}
    ]


def start(z: Zonectl, *, top: str = "", tables: str = "") -> Zone:
    """A zone of busybox with these keys, started."""
    text = f'name = "a"\ncommand = {COMMAND}\n{top}\n[root]\nimage = "busybox"\nreadonly = false\n{tables}\n'
    z("create", z.write("a", text))
    z("start", "a")
    return Zone(z)


def test_a_zone_as_declared(z: Zonectl) -> None:
    zone = start(z)
    found = zone.audit(code=0)
    assert found["holds"] is True
    assert found["waived"] == []
    assert differing(found) == []
    assert found["pid"] == zone.pid
    areas = {each["area"] for each in found["findings"]}
    assert areas == {
        "namespaces", "privileges", "seccomp", "process", "mounts", "devices", "masks", "limits", "network",
    }  # fmt: skip
    # Limits that the file does not name are the host's where those are lower.
    judged = [each for each in found["findings"] if not each["name"].startswith("limits.")]
    assert {each["verdict"] for each in judged} == {"holds"}


def _move_init(zone: Zone) -> None:
    (zone.group.parent / "cgroup.procs").write_text(str(zone.pid))


def _cover(target: str, source: str) -> Tampering:
    return lambda zone: zone.enter("mount", "--bind", source, target)


def _write(file: str, text: str) -> Tampering:
    def tamper(zone: Zone) -> None:
        (zone.group / file).write_text(text)

    return tamper


def _link(*words: str) -> Tampering:
    return lambda zone: host("ip", "link", "set", zone.link, "type", "bridge_slave", *words)


def _rules(zone: Zone) -> None:
    host("nft", "delete", "table", "inet", f"zonectl_{zone.z.mark}")


TAMPERING: dict[str, tuple[Tampering, str]] = {
    "a folder over /proc": (_cover("/proc", "/tmp"), "mounts: /proc"),
    "another device at /dev/null": (_cover("/dev/null", "/dev/zero"), "devices: /dev/null"),
    "the host's keys, shown": (_cover("/proc/keys", "/bin/busybox"), "masks: /proc/keys"),
    "settings that can be written": (_cover("/proc/sys", "/tmp"), "masks: /proc/sys"),
    "a folder of the root over /dev/shm": (_cover("/dev/shm", "/root"), "mounts: /dev/shm"),
    "more groups than declared": (_write("cgroup.max.depth", "max"), "limits: cgroup.max.depth"),
    "fewer groups than declared": (_write("cgroup.max.descendants", "5"), "limits: cgroup.max.descendants"),
    "init in another group": (_move_init, "limits: group"),
    "a port that is not isolated": (_link("isolated", "off"), "network: neighbours"),
    "a port for every address": (_link("locked", "off"), "network: port"),
    "a port that learns": (_link("learning", "on"), "network: port"),
    "rules that are gone": (_rules, "network: link"),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_what_the_host_has_altered(z: Zonectl, what: str) -> None:
    tamper, line = TAMPERING[what]
    zone = start(z)
    tamper(zone)
    found = zone.audit(code=1)
    assert differing(found) == [line]
    assert found["holds"] is False


WEAKER: dict[str, tuple[str, str, str, list[str]]] = {
    # Started with a key, which the file then no longer has: the zone runs without what the file declares.
    "the host's name": ('[namespaces]\nuts = "host"', 'uts = "host"', 'uts = "private"', ["namespaces: uts"]),
    "the host's IPC": (
        '[namespaces]\nipc = "host"',
        'ipc = "host"',
        'ipc = "private"',
        ["namespaces: ipc", "mounts: /dev/mqueue"],
    ),
    "the host's clocks": (
        '[namespaces]\ntime = "host"', 'time = "host"', 'time = "private"', ["namespaces: time"]
    ),
    "more capabilities": (
        '[security]\ncapabilities = ["default", "sys_time"]',
        ', "sys_time"',
        "",
        ["privileges: bounding", "privileges: permitted", "privileges: effective"],
    ),
    "gaining by exec": (
        "[security]\nno_new_privs = false",
        "no_new_privs = false",
        "no_new_privs = true",
        ["privileges: no_new_privs"],
    ),
    "every system call": (
        '[security]\nseccomp = "off"',
        'seccomp = "off"',
        'seccomp = "default"',
        ["seccomp: mode"],
    ),
    "more system calls": (
        '[security]\nseccomp = "default"\nno_new_privs = true',
        'seccomp = "default"',
        'seccomp = "strict"',
        ["seccomp: profile"],
    ),
    "new namespaces": ("[security]\nnesting = true", "nesting = true", "nesting = false", ["seccomp: profile"]),
    "every device": (
        '[security]\ndevices = "unfiltered"',
        'devices = "unfiltered"',
        'devices = "filtered"',
        ["devices: filter"],
    ),
    "more open files": (
        '[limits]\nnofile = "256:512"',
        '"256:512"',
        '"256:300"',
        ["process: limits.nofile"],
    ),
    "a better rank": ("[process]\nnice = 5", "nice = 5", "nice = 7", ["process: nice"]),
    "the host's keys": (
        '[security]\nunmask = ["/proc/keys", "/proc/sys"]',
        '["/proc/keys", "/proc/sys"]',
        '["/proc/sys"]',
        ["masks: /proc/keys"],
    ),
    "a root that can be written": ("[security]", "readonly = false", "readonly = true", ["mounts: /"]),
    "a root that is not immutable": (
        "[security]",
        "readonly = false",
        'profile = "fixed"',
        ["mounts: /"],
    ),
    "a mount with programs": (
        '[[mount]]\ntype = "tmpfs"\ntarget = "/srv"\nexec = true',
        "exec = true",
        "exec = false",
        ["mounts: /srv"],
    ),
    "neighbours": ("[network]\nisolated = false", "isolated = false", "isolated = true", ["network: neighbours"]),
}  # fmt: skip


@pytest.mark.parametrize("what", WEAKER)
def test_what_the_zone_file_has_come_to_declare(z: Zonectl, what: str) -> None:
    tables, old, new, lines = WEAKER[what]
    zone = start(z, tables=tables)
    assert differing(zone.audit(code=0)) == []
    zone.edit(old, new)
    assert differing(zone.audit(code=1)) == lines


SETTINGS = {  # as declared, and as somebody changes it
    "net.ipv4.ip_forward": ("1", "0"),
    "net.ipv4.ping_group_range": ("5 7", "5 8"),
    "net.ipv4.ip_local_reserved_ports": ("80,81,8080", "80"),
    "kernel.shmmax": ("1234567", "1234568"),
    "kernel.sem": ("250 32000 32 128", "250 32000 32 129"),
    "kernel.domainname": ("example.org", "example.com"),
    "user.max_uts_namespaces": ("7", "8"),
    "fs.mqueue.msg_max": ("0x10", "17"),
}
NAMESPACES = {"net": "net", "kernel": "ipc", "fs": "ipc", "user": "user"}


def _set(zone: Zone, name: str, value: str) -> None:
    """As the host's root, in the namespaces that the setting belongs to; in the host's mounts, and none of the zone."""
    kind = "uts" if name == "kernel.domainname" else NAMESPACES[name.partition(".")[0]]
    file = f"/proc/sys/{name.replace('.', '/')}"
    host(
        "nsenter",
        f"--user=/proc/{zone.pid}/ns/user",
        f"--{kind}=/proc/{zone.pid}/ns/{kind}",
        *_writing(file, value),
    )


def _writing(file: str, value: str) -> tuple[str, ...]:
    if file.endswith("domainname"):  # the file is the host's root's, whatever the namespace: setdomainname(2)
        code = "import ctypes, sys; n = sys.argv[1].encode(); sys.exit(ctypes.CDLL(None).setdomainname(n, len(n)))"
        return sys.executable, "-c", code, value
    return "sh", "-c", 'printf %s "$1" > "$2"', "sh", value, file


def test_settings_are_read_back_from_the_zones_own_namespaces(z: Zonectl) -> None:
    lines = "".join(f'"{name}" = "{declared}"\n' for name, (declared, _) in SETTINGS.items())
    zone = start(z, tables=f"[sysctl]\n{lines}")
    found = zone.audit(code=0)
    told = {each["name"]: each["verdict"] for each in found["findings"] if each["area"] == "sysctl"}
    assert told == dict.fromkeys(SETTINGS, "holds")
    for name, (declared, other) in SETTINGS.items():
        _set(zone, name, other)
        assert differing(zone.audit(code=1)) == [f"sysctl: {name}"]
        _set(zone, name, declared)
    assert zone.audit(code=0)["holds"]


def test_a_setting_that_the_zones_root_may_change_is_told(z: Zonectl) -> None:
    tables = '[sysctl]\n"net.ipv4.ip_default_ttl" = 64\n[security]\ncapabilities = ["default", "net_admin"]\n'
    zone = start(z, tables=tables)
    assert zone.audit(code=0)["holds"]
    z.exec("a", "sh", "-c", "echo 65 > /proc/sys/net/ipv4/ip_default_ttl")
    assert differing(zone.audit(code=1)) == ["sysctl: net.ipv4.ip_default_ttl"]


def test_a_zone_that_covers_its_settings_deceives_nobody(z: Zonectl) -> None:
    tables = '[sysctl]\n"net.ipv4.ip_default_ttl" = 64\n[security]\nunmask = ["all"]\n'
    zone = start(z, tables=tables)
    z.exec("a", "sh", "-c", "echo 64 > /tmp/ttl")
    _set(zone, "net.ipv4.ip_default_ttl", "65")
    of = [f"--{name}=/proc/{zone.pid}/ns/{kind}" for name, kind in (("mount", "mnt"), ("net", "net"))]
    host("nsenter", *of, "mount", "--bind", "/tmp/ttl", "/proc/sys/net/ipv4/ip_default_ttl")
    assert z.exec("a", "cat", "/proc/sys/net/ipv4/ip_default_ttl").out == "64\n"
    assert differing(zone.audit(code=1)) == ["sysctl: net.ipv4.ip_default_ttl"]


def test_what_no_kernel_tells_is_said(z: Zonectl) -> None:
    zone = start(z)
    assert zone.audit(code=0)["untold"] == ["session keyring", "securebits"]
    assert "session keyring, securebits" in z("show", "--security", "a").lines[-2]


ALLOW_ALL = struct.pack("=BBhiBBhi", 0xB4, 0, 0, 1, 0x95, 0, 0, 0)
"""A device program: r0 = 1; exit."""


def _attached(group: int) -> int:
    """A descriptor of the one device program that is attached to the group."""
    numbers = (ctypes.c_uint * 2)()
    query = ctypes.create_string_buffer(
        bpf._QUERY.pack(group, bpf.BPF_CGROUP_DEVICE, 0, 0, ctypes.addressof(numbers), 2), bpf._QUERY.size
    )
    bpf._bpf(bpf.BPF_PROG_QUERY, query, bpf._QUERY.size)
    return bpf._call(bpf.BPF_PROG_GET_FD_BY_ID, bpf._GET_BY_ID.pack(numbers[0], 0, 0), subject="")


def test_a_device_program_that_was_taken_away(z: Zonectl) -> None:
    zone = start(z)
    with ExitStack() as held:

        def hold(fd: int) -> int:
            held.callback(os.close, fd)
            return fd

        group = hold(os.open(zone.group, os.O_RDONLY | os.O_DIRECTORY))
        ours = hold(_attached(group))
        bpf.attach_device_program(group, hold(bpf.load_device_program(ALLOW_ALL, "all")))
        assert zone.audit(code=0)["holds"], "one more program can only refuse more"
        bpf.detach_device_program(group, ours)
    assert differing(zone.audit(code=1)) == ["devices: filter"]


def test_what_a_program_gave_up_is_no_difference(z: Zonectl) -> None:
    text = """name = "a"\nuser = "1000"\nroot = { image = "busybox" }\ncommand = ["/bin/sh", "-c", """
    text += """"umask 077; ulimit -n 64; trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"]\n"""
    z("create", z.write("a", text))
    z("start", "a")
    until(lambda: Zone(z).finding("umask")["verdict"] == "narrower")
    found = Zone(z).audit(code=0)
    assert found["holds"]
    assert Zone(z).finding("limits.nofile")["found"] == "64:64"
    assert Zone(z).finding("effective")["declared"] == "0000000000000000"


WAIVERS = {
    'namespaces.user = "host"': '[namespaces]\nuser = "host"\n',
    'namespaces.net = "host"': '[network]\nmode = "host"\n',
    'namespaces.uts = "host"': '[namespaces]\nuts = "host"\n',
    'namespaces.ipc = "host"': '[namespaces]\nipc = "host"\n',
    'namespaces.time = "host"': '[namespaces]\ntime = "host"\n',
    "network.isolated = false": "[network]\nisolated = false\n",
    'security.seccomp = "off"': '[security]\nseccomp = "off"\n',
    "security.nesting = true": "[security]\nnesting = true\n",
    'security.devices = "unfiltered"': '[security]\ndevices = "unfiltered"\n',
    'security.unmask = ["all"]': '[security]\nunmask = ["all"]\n',
    'security.capabilities = ["all"]': '[security]\ncapabilities = ["all"]\n',
}


@pytest.mark.parametrize("key", WAIVERS)
def test_a_waiver_is_shown_and_is_no_difference(z: Zonectl, key: str) -> None:
    zone = start(z, tables=WAIVERS[key])
    found = zone.audit(code=0)
    assert [each["key"] for each in found["waived"]] == [key]
    text = z("show", "--security", "a").out
    assert re.search(rf"^  {re.escape(key)} ", text, re.MULTILINE)
    name = key.partition(" ")[0]
    titles, line = z("list", "-v", "a").lines
    assert line[titles.index("WAIVED") :].startswith(f"{name} ")
    assert z.show("a")["waived"] == [name]


def test_for_people(z: Zonectl) -> None:
    zone = start(z)
    fine = z("show", "--security", "a").out
    assert "\x1b" not in fine
    assert fine.splitlines()[-1].startswith("a: all ")
    _cover("/dev/null", "/dev/zero")(zone)
    with z.terminal("show", "--security", "a") as terminal:
        shown = terminal.rest()
    assert "\x1b[31mdiffers" in shown
    plain = z("show", "--security", "a", code=1).out
    assert re.search(r"^  /dev/null +differs +device 1:3 +device 1:5$", plain, re.MULTILINE)


def test_only_a_running_zone_has_something_to_show(z: Zonectl) -> None:
    z.define("a")
    refused = z("show", "--security", "a", code=3)
    assert "zonectl start a" in refused.err
    z("ready", "a")
    assert "zonectl start a" in z("show", "--security", "a", code=3).err
    z("show", "--security", "nobody", code=4)


def test_mounts_without_end_hide_nothing(z: Zonectl) -> None:
    zone = start(z)
    zone.enter("sh", "-c", "for i in $(seq 300); do mount -t tmpfs none /tmp; done")
    assert zone.audit(code=0)["holds"]


def test_a_paused_zone_is_audited(z: Zonectl) -> None:
    zone = start(z)
    z("pause", "a")
    assert zone.audit(code=0)["holds"]


def test_a_root_that_is_maintained(z: Zonectl) -> None:
    z("create", z.file("immutable"))
    z("start", "immutable")
    assert json.loads(z("show", "--security", "--json", "immutable").out)["waived"] == []
    z("stop", "-t", "0", "immutable")
    z("start", "--writable", "immutable")
    found = json.loads(z("show", "--security", "--json", "immutable").out)
    assert found["holds"]
    assert [each["key"] for each in found["waived"]] == ["start --writable"]
    assert {each["name"]: each["found"] for each in found["findings"]}["/"] == "overlay nodev"


def test_names_that_the_zone_chooses_drive_no_terminal(z: Zonectl) -> None:
    z.define("a", r"""
        group=$(printf '/sys/fs/cgroup/\033[2J\014Seccomp:\0110')
        mkdir "$group" && echo 1 >"$group/cgroup.procs"
        printf '\033]0;x\007\014CapBnd: 0' >/proc/1/comm
        echo done; while :; do sleep 1 & wait $!; done""")  # fmt: skip
    z("start", "a")
    until(lambda: "done" in z("logs", "a").out)
    text = z("show", "--security", "a").out
    assert r"/\x1b[2J\x0cSeccomp:\x090" in text
    assert not {"\x1b", "\x07", "\x0c"} & set(text)
    assert Zone(z).audit(code=0)["holds"]


def test_a_zone_that_covers_proc_itself(z: Zonectl) -> None:
    zone = start(z, tables='[security]\ncapabilities = ["default", "sys_admin"]')
    assert zone.audit(code=0)["holds"]
    z.exec("a", "mount", "-t", "tmpfs", "none", "/proc")
    assert differing(zone.audit(code=1)) == ["mounts: /proc"]
