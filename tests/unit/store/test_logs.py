from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zonectl.store.logs import LONGEST_LINE_BYTES, Chunk, Lines, Record, Stream, unpack_index

chunks = st.lists(
    st.builds(
        lambda time_us, stream, data: Chunk(Record(0, time_us, stream), data),
        st.integers(0, 2**52),
        st.sampled_from(Stream),
        st.text("ab\n", max_size=12).map(str.encode),
    )
)
records = st.builds(Record, st.integers(0, 2**40), st.integers(0, 2**52), st.sampled_from(Stream))


@given(chunks)
def test_no_byte_is_lost_or_changes_its_stream(arrived: list[Chunk]) -> None:
    lines = Lines()
    told = [line for chunk in arrived for line in lines.feed(chunk)]
    told += lines.flush()
    for stream in Stream:
        written = b"".join(chunk.data for chunk in arrived if chunk.record.stream is stream)
        read = b"".join(line.text + (b"\n" if line.ended else b"") for line in told if line.stream is stream)
        assert read == written


@given(st.lists(records), st.binary(max_size=15))
def test_an_index_comes_back_without_its_torn_end(index: list[Record], torn: bytes) -> None:
    assert unpack_index(b"".join(record.pack() for record in index) + torn) == index


def test_a_line_has_the_time_of_its_first_byte() -> None:
    lines = Lines()
    first = list(lines.feed(Chunk(Record(0, 1_000_000, Stream.OUT), b"a\nb")))
    second = list(lines.feed(Chunk(Record(3, 2_000_000, Stream.OUT), b"b\nc\n")))
    assert [(line.time, line.text) for line in first + second] == [(1.0, b"a"), (1.0, b"bb"), (2.0, b"c")]


def test_a_line_without_end_is_told_in_pieces() -> None:
    lines = Lines()
    told = list(lines.feed(Chunk(Record(0, 0, Stream.OUT), b"x" * (2 * LONGEST_LINE_BYTES + 5))))
    assert [len(line.text) for line in told] == [LONGEST_LINE_BYTES] * 2
    assert [(len(line.text), line.ended) for line in lines.feed(Chunk(Record(0, 0, Stream.OUT), b"y\n"))] == [
        (6, True)
    ]
