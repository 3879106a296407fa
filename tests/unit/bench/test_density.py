"""At which numbers of zones is measured, and when."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

import pytest

from zonectl.bench import density
from zonectl.kernel import proc

if TYPE_CHECKING:
    from zonectl.bench.commands import Client
    from zonectl.bench.guests import Guests
    from zonectl.runtime.context import Context


@pytest.mark.parametrize(
    ("most", "counts"),
    [
        (1, [1]),
        (3, [1, 2, 3]),
        (10, [1, 2, 5, 10]),
        (60, [1, 2, 5, 10, 20, 50, 60]),
        (1000, [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]),
    ],
)
def test_counts(most: int, counts: list[int]) -> None:
    assert density.counts(most) == counts


def test_the_kernel_holds_something() -> None:
    assert density.kernel_bytes() > 1 << 20


class Commands:
    """Every command takes a second, and is noted."""

    def __init__(self, deeds: list[str]) -> None:
        self.deeds = deeds

    def announce(self, word: str) -> tuple[str, str]:
        return word, f"{word}.toml"

    def time(self, *words: str) -> int:
        self.deeds.append(words[0])
        return 10**9


def test_memory_is_never_read_before_it_has_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel still holds of a zone that was deleted just before would hide what the others take."""
    deeds: list[str] = []

    def read() -> int:
        deeds.append("read")
        return 0

    monkeypatch.setattr("time.sleep", lambda _s: deeds.append("settle"))
    monkeypatch.setattr(density, "kernel_bytes", read)
    monkeypatch.setattr("zonectl.store.records.load_live", lambda *_: Stub)
    monkeypatch.setattr(proc, "descendants", lambda _pid: [])
    commands = Commands(deeds)
    client, ours = cast("Client", commands), cast("Guests", commands)
    measuring = density._Measuring(cast("Context", Stub), client, ours, most=2)
    assert len(measuring.run(lambda _: None).points) == 2
    reads = [number for number, deed in enumerate(deeds) if deed == "read"]
    assert len(reads) == 3
    assert {deeds[number - 1] for number in reads} == {"settle"}


class Stub:
    """Stands for a context as well as for what runs in a zone: the test itself."""

    paths = None
    pid = os.getpid()
