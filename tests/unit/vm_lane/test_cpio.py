from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.vm.lane import cpio

HEADER_BYTES = 110


def test_header_has_the_fields_of_the_newc_format() -> None:
    packed = cpio.archive([cpio.file("init", b"data", mode=0o755)])
    fields = [packed[6 + 8 * number : 14 + 8 * number] for number in range(13)]
    assert packed[:6] == b"070701"
    assert [int(field, 16) for field in fields] == [1, 0o100755, 0, 0, 1, 0, 4, 0, 0, 0, 0, 5, 0]


def test_name_and_data_are_padded_to_four_bytes() -> None:
    packed = cpio.archive([cpio.file("ab", b"12345")])
    name_end = HEADER_BYTES + len("ab\0")
    data_start = name_end + (-name_end % 4)
    assert packed[HEADER_BYTES:data_start] == b"ab\0" + bytes(data_start - name_end)
    assert packed[data_start : data_start + 8] == b"12345\0\0\0"


def test_folder_has_no_data() -> None:
    entry = cpio.folder("lane")
    assert (entry.mode, entry.data) == (0o40755, b"")


def test_trailer_closes_even_an_empty_archive() -> None:
    assert b"TRAILER!!!\0" in cpio.archive([])


@given(st.binary(max_size=99), st.text("abc/", min_size=1, max_size=40))
def test_every_entry_starts_at_a_multiple_of_four(data: bytes, path: str) -> None:
    packed = cpio.archive([cpio.file(path, data), cpio.folder("next")])
    starts = [at for at in range(len(packed)) if packed.startswith(cpio.MAGIC + b"0000000", at)]
    assert len(packed) % 4 == 0
    assert all(start % 4 == 0 for start in starts)
