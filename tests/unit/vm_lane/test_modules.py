from __future__ import annotations

import pytest

from tests.vm.lane import modules
from tests.vm.lane.errors import LaneError
from tests.vm.lane.modules import StaticNode

DEP = """\
kernel/fs/overlayfs/overlay.ko:
kernel/drivers/block/virtio_blk.ko: kernel/virtio/virtio_ring.ko kernel/virtio/virtio.ko
kernel/drivers/char/hw_random/virtio-rng.ko: kernel/virtio/virtio.ko
kernel/virtio/virtio.ko:
"""
BUILTIN = "kernel/drivers/virtio/virtio_pci.ko\n"


def test_needs_come_before_what_needs_them() -> None:
    order = modules.load_order(DEP, BUILTIN, ["virtio_blk"])
    names = [path.rpartition("/")[2] for path in order]
    assert names == ["virtio.ko", "virtio_ring.ko", "virtio_blk.ko"]


def test_a_module_is_loaded_once() -> None:
    order = modules.load_order(DEP, BUILTIN, ["virtio_blk", "virtio_rng", "overlay"])
    assert len(order) == len(set(order)) == 5


def test_a_file_with_dashes_is_the_module_with_underscores() -> None:
    assert modules.load_order(DEP, BUILTIN, ["virtio_rng"])[-1].endswith("virtio-rng.ko")


def test_what_the_kernel_contains_needs_no_file() -> None:
    assert modules.load_order(DEP, BUILTIN, ["virtio_pci"]) == []


def test_what_the_kernel_lacks_is_an_error() -> None:
    with pytest.raises(LaneError, match="9p"):
        modules.load_order(DEP, BUILTIN, ["overlay", "9p"])


def test_nodes_that_load_a_module() -> None:
    text = "# Device nodes to trigger on-demand module loading.\ntun net/tun c10:200\nloop loop-control c10:237\n"
    assert modules.static_nodes(text) == [
        StaticNode(path="net/tun", kind="c", major=10, minor=200),
        StaticNode(path="loop-control", kind="c", major=10, minor=237),
    ]
