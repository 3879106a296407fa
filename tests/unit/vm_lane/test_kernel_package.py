from __future__ import annotations

from typing import TYPE_CHECKING

from tests.vm.lane import kernel_package

if TYPE_CHECKING:
    from pathlib import Path


def test_cached_kernel_is_used_without_a_look_at_apt(tmp_path: Path) -> None:
    modules = tmp_path / "current/lib/modules/6.12.1-test"
    modules.mkdir(parents=True)
    kernel = kernel_package.cached(tmp_path)
    assert (kernel.image, kernel.modules) == (tmp_path / "current/vmlinux", modules)
    assert kernel.release == "6.12.1-test"
