from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import StoreError
from zonectl.model.ids import MAX_ID, IdRange
from zonectl.model.instance import Instance
from zonectl.store import idranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zonectl.store.paths import Paths


def allocate(
    paths: Paths, zone_id: str, foreign: Sequence[IdRange] = (), *, volatile: bool = False
) -> IdRange:
    return idranges.allocate(paths, zone_id, foreign, volatile=volatile)


def test_zones_never_share_an_id(paths: Paths) -> None:
    given = [allocate(paths, f"{n:08x}", volatile=n % 3 == 0) for n in range(40)]
    assert not any(a.overlaps(b) for n, a in enumerate(given) for b in given[:n])
    assert idranges.ranges(paths) == {f"{n:08x}": given[n] for n in range(40)}


def test_a_zone_keeps_its_range(paths: Paths) -> None:
    assert (
        allocate(paths, "0000000a")
        == allocate(paths, "0000000a")
        == allocate(paths, "0000000a", volatile=True)
    )


def test_a_released_range_is_not_the_next(paths: Paths) -> None:
    for volatile in (False, True):
        first = allocate(paths, "0000000a", volatile=volatile)
        idranges.release(paths, "0000000a")
        assert not allocate(paths, "0000000b", volatile=volatile).overlaps(first)
        idranges.release(paths, "0000000b")
    idranges.release(paths, "0000000c")


def test_foreign_ranges_are_avoided(paths: Paths) -> None:
    first = idranges.region(paths.instance).first
    foreign = [IdRange(first=idranges.BASE + first * 65536 + 100, count=3 * 65536)]
    assert not allocate(paths, "0000000a", foreign).overlaps(foreign[0])


def test_a_volatile_range_leaves_the_durable_file_alone(paths: Paths) -> None:
    allocate(paths, "0000000a", volatile=True)
    assert not Path(paths.ids_file).exists()


def test_a_full_region_is_an_error_and_wraps_before(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idranges, "region", lambda _instance: idranges.Region(5, 3))
    given = {allocate(paths, f"{n:08x}", volatile=n == 0).first for n in range(3)}
    assert len(given) == 3
    with pytest.raises(StoreError, match="no range of ids is left"):
        allocate(paths, "00000009")
    idranges.release(paths, "00000001")
    assert allocate(paths, "00000009").first in given


def test_regions_of_instances_stay_in_the_id_space_and_off_the_default_one() -> None:
    default = idranges.region(Instance())
    for n in range(200):
        region = idranges.region(Instance(root=f"/srv/{n}"))
        assert region.first >= default.first + default.count
        assert idranges.BASE + (region.first + region.count) * 65536 - 1 <= MAX_ID


def test_subordinate_files_are_read_and_nonsense_skipped(tmp_path: Path) -> None:
    file = tmp_path / "subuid"
    file.write_text("me:100000:65536\n\n# no\nyou:x:1\nroot:0:1\nbig:4294967290:65536\nlast:1000000000:1\n")
    assert idranges.subordinate_ranges([str(file), str(tmp_path / "none")]) == [
        IdRange(first=100000),
        IdRange(first=1_000_000_000, count=1),
    ]
