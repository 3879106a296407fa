"""Instances to run zones in, as the tests of `runtime` have them."""

from __future__ import annotations

from tests.kernel.runtime.conftest import busybox_root, world

__all__ = ["busybox_root", "world"]
