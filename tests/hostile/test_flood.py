"""A zone that says more than anybody keeps: its log stays small, and its neighbours are heard."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.patience import until
from zonectl.store.logs import INDEX_BYTES, SEGMENT_BYTES, SEGMENTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hostile.scene import Scene

FLOOD_MIB = 100
# One more, while a segment begins and the oldest is not removed yet.
KEPT_BYTES = (SEGMENTS + 1) * (SEGMENT_BYTES + INDEX_BYTES)


def test_a_flood_of_output(scene: Scene) -> None:
    assert KEPT_BYTES < FLOOD_MIB << 20
    start(scene, "flood", f"/probe/exhaustion flood {FLOOD_MIB} && touch /tmp/said && exec sleep 1000000")
    start(scene, "quiet", "echo to be heard; exec sleep 1000000")

    def is_over() -> bool:
        assert size_of(log_of(scene, "flood")) <= KEPT_BYTES
        return said(scene)

    until(is_over, timeout_s=60, what="the flood ends")
    assert scene.neighbour_answers()
    until(lambda: "to be heard\n" in scene.z("logs", "quiet").out, what="the neighbour is heard")
    for name in ("flood", "quiet"):
        scene.z("delete", "-f", name)


def start(scene: Scene, name: str, script: str) -> None:
    root = f'[root]\npath = "{scene.folder}/root-of-zones"\n'
    command = json.dumps(["/bin/sh", "-c", script])
    scene.z("create", scene.z.write(name, f'name = "{name}"\ncommand = {command}\n{root}'))
    scene.z("start", name)


def said(scene: Scene) -> bool:
    return scene.z.exec("flood", "test", "-e", "/tmp/said", code=None).code == 0


def log_of(scene: Scene, name: str) -> Path:
    return scene.z.root / "zones" / name / "log"


def size_of(folder: Path) -> int:
    """Of the files that are there; the oldest goes at any moment, and the folder comes with the first."""
    if not folder.exists():
        return 0
    total = 0
    for path in list(folder.iterdir()):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total
