"""What `plan` prints is what a start does: the calls of a traced start, compared with the plan's, one by one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime import trace
from tests.kernel.runtime.world import REQUIRED, World
from zonectl.runtime import zones

if TYPE_CHECKING:
    from pathlib import Path

    from zonectl.model.steps import Call

pytestmark = pytest.mark.requires(*REQUIRED, "veth", "bridge", "nft", "program:strace")

TRUE = "/bin/true"
MOUNTS = """
[[mount]]
source = "{folder}/source"
target = "/srv/deep/www"
readonly = true
[[mount]]
source = "{folder}/source/file"
target = "/srv/file"
recursive = false
[[mount]]
type = "tmpfs"
target = "/var/cache"
size = "1MiB"
"""


def compare(world: World, *command: str, **wishes: str | bool) -> tuple[list[str], list[Call]]:
    """Trace a start; its calls must be the plan's. The names of the calls, and the optional ones not made."""
    world.create(*command, **wishes)
    plan = zones.plan_of(world.context, zones.load(world.context, "web"))
    output = world.folder / "trace"
    traced = trace.record([str(world.folder), str(world.number), "start", "web"], output)
    paths = world.context.paths
    seen = trace.of_start(traced, own=(f"{paths.root}/", f"{paths.run_dir}/"))
    calls = [call for step in plan.steps for call in step.calls]
    words, left_out = trace.differences(calls, seen)
    assert not words, words
    return [found.name for found in seen], left_out


def test_a_zone_with_a_link(world: World) -> None:
    names, left_out = compare(world, TRUE, net=True)
    assert names.count("sendto") == 3 + 3 + 3 + 4 + 1  # bridge, gate, pair, inside
    # The bridge was made: nothing was left out but what the root has already, and forwarding if it was on.
    kinds = {call.when for call in left_out if call.target != "init"}  # what is init's depends on the caller
    assert kinds <= {"when missing", "when off"}
    assert not any(world.bridge in call.target + call.detail for call in left_out)


def test_a_second_zone_finds_the_shared_things_in_place(world: World) -> None:
    world.run(TRUE, net=True)
    _, left_out = compare(world, TRUE, net=True)
    shared = [call for call in left_out if call.when in {"when missing", "when missing or altered"}]
    shared = [
        call
        for call in shared
        if "NETLINK_ROUTE" in call.target or "/proc/sys" in call.target or call.target == "nft"
    ]
    assert len(shared) == 3 + 1 + 6 + 3 + 4 + 1  # messages, address, settings, rules, settings, nft


def test_the_hosts_network_ipc_and_name(world: World) -> None:
    extra = '[namespaces]\nipc = "host"\nuts = "host"\ntime = "host"'
    text = world.text(TRUE, extra=extra).replace('mode = "none"', 'mode = "host"')
    world.text = lambda *_command, **_wishes: text  # type: ignore[method-assign]
    names, _ = compare(world, TRUE)
    assert not {"sethostname", "sendto"} & set(names)
    assert names.count("unshare") == 1  # of the mounts, not of the clocks


def test_a_root_of_its_own(world: World) -> None:
    root = f'path = "{world.root}"\nmode = "copy"\n[security]\nunmask = ["all"]'
    names, _ = compare(world, TRUE, root=root)
    assert names.count("mount") == 1  # the staging folder


def test_a_sparse_root(world: World) -> None:
    compare(world, TRUE, root="host = true\nreadonly = true")


def test_mounts(world: World) -> None:
    source = world.folder / "source"
    source.mkdir()
    (source / "file").touch()
    names, left_out = compare(world, TRUE, extra=MOUNTS.format(folder=world.folder))
    assert names.count("open_tree") == 4 + 6 + 3  # layer, own, two mounts; nodes; files
    assert not any(call.target == "/srv/deep/www" and call.name == "mkdirat" for call in left_out)
    assert not any(call.target == "/srv/file" and call.name == "openat" for call in left_out)


def test_chroot_and_a_root_that_cannot_be_written(world: World) -> None:
    names, _ = compare(world, TRUE, root=f'path = "{world.root}"\nswitch = "chroot"\nreadonly = true')
    assert "chroot" in names
    assert "pivot_root" not in names


def test_the_hosts_ids(world: World) -> None:
    extra = 'user = "web"\nworkdir = "/var"\n[namespaces]\nuser = "host"\n[security]\nno_new_privs = true'
    names, _ = compare(world, TRUE, extra=extra)
    assert {"prctl", "capset"} <= set(names)


def test_clocks_of_its_own(world: World) -> None:
    compare(world, TRUE, extra='[namespaces]\nboottime_offset = "1d"\nmonotonic_offset = "1.5s"')


@pytest.mark.requires("program:catatonit")
def test_a_reaper(world: World) -> None:
    names, _ = compare(world, TRUE, extra="init = true")
    assert names[-1] == "execveat"


@pytest.mark.requires("controller:hugetlb")
def test_limits(world: World) -> None:
    sizes = world.context.facts.page_sizes
    names, _ = compare(world, TRUE, extra=f'[resources.hugetlb]\n{sizes[0]} = "0"')
    assert names.count("write") > 5


def test_the_comparison_notices_what_is_missing_and_what_is_new(world: World, tmp_path: Path) -> None:
    """A probe of the probe."""
    world.create(TRUE)
    plan = zones.plan_of(world.context, zones.load(world.context, "web"))
    traced = trace.record([str(world.folder), str(world.number), "start", "web"], tmp_path / "trace")
    paths = world.context.paths
    seen = trace.of_start(traced, own=(f"{paths.root}/", f"{paths.run_dir}/"))
    calls = [call for step in plan.steps for call in step.calls]
    assert trace.differences(calls, seen)[0] == ""
    needed = [index for index, call in enumerate(calls) if not call.when]
    for index in needed[:: len(needed) // 10]:
        assert trace.differences([*calls[:index], *calls[index + 1 :]], seen)[0]
    optional = {(call.name, call.target) for call in calls if call.when}
    for index in range(0, len(seen), len(seen) // 10):
        assert (
            trace.differences(calls, [*seen[:index], *seen[index + 1 :]])[0]
            or seen[index].name in {"mkdir", "mkdirat", "openat", "fchmod"}
            or (seen[index].name, seen[index].target) in optional
        )
    assert os.path.exists(tmp_path / "trace")


def test_devices_and_settings(world: World) -> None:
    extra = (
        '[[device]]\npath = "/dev/zero"\ntarget = "/dev/deep/own"\nmode = "0640"\n'
        '[sysctl]\n"net.ipv4.ip_forward" = 1\n"kernel.domainname" = "example.org"\n'
    )
    names, left_out = compare(world, TRUE, extra=extra)
    assert names.count("bpf") == 2  # loaded, attached
    assert not any(call.name == "bpf" for call in left_out)


def test_devices_unfiltered(world: World) -> None:
    names, _ = compare(world, TRUE, extra='[security]\ndevices = "unfiltered"')
    assert "bpf" not in names


@pytest.mark.parametrize("mode", ["overlay", "copy"])
@pytest.mark.parametrize("profile", ["fixed", "flexible", "strict"])
def test_profiles(world: World, profile: str, mode: str) -> None:
    for folder in ("var/lib/dpkg", "home", "root"):
        (world.root / folder).mkdir(parents=True, exist_ok=True)
    root = f'path = "{world.root}"\nmode = "{mode}"\nprofile = "{profile}"'
    _, left_out = compare(world, TRUE, root=root)
    assert not any(call.target in {"/var", "/home", "/var/lib/dpkg"} for call in left_out)
