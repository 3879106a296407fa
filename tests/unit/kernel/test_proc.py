"""Lines of /proc, without /proc."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zonectl.kernel import proc

LINE = "36 35 98:0 /mnt\\0401 /mnt2 rw,noatime master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue"


def test_a_line_of_mountinfo() -> None:
    assert proc.parse_mount(LINE) == proc.MountEntry(
        id=36,
        parent_id=35,
        major=98,
        minor=0,
        root="/mnt 1",
        target="/mnt2",
        options=("rw", "noatime"),
        propagation=("master:1", "propagate_from:2"),
        fstype="ext3",
        source="/dev/root",
        super_options=("rw", "errors=continue"),
    )


def test_a_line_without_propagation_or_source() -> None:
    entry = proc.parse_mount("1 1 0:2 / / rw - rootfs  rw")
    assert (entry.propagation, entry.source) == ((), "")


def _escape(text: str) -> str:
    """As seq_path of the kernel does it."""
    return "".join(f"\\{ord(char):03o}" if char in " \t\n\\" else char for char in text)


@given(st.text(st.characters(exclude_characters="\0"), max_size=40))
def test_escapes_are_undone(text: str) -> None:
    assert proc.decode_octal(_escape(text)) == text


@given(st.text(st.characters(exclude_characters="\0/"), min_size=1, max_size=20))
def test_any_target_is_read(name: str) -> None:
    line = f"2 1 0:5 / /{_escape(name)} rw - tmpfs {_escape(name)} rw"
    entry = proc.parse_mount(line)
    assert (entry.target, entry.source) == (f"/{name}", name)


def test_signals_are_bits_from_1() -> None:
    masks = proc.SignalMasks(caught=1 << 14, ignored=1, blocked=0)
    assert masks.handles(15)
    assert not masks.handles(14)
    assert masks.ignores(1)
