"""The rollback: everything is undone in reverse, and the first error stays the first."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.runtime.undo import Undo


@dataclass
class Host:
    """What was done and what is left of it."""

    left: list[int] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)

    def do(self, step: int, undo: Undo) -> None:
        """Do the step, its undo pushed before."""
        undo.callback(self.undo, step)
        self.left.append(step)

    def undo(self, step: int) -> None:
        """Twice is fine, and so is a step that was never done."""
        self.undone.append(step)
        if step in self.left:
            self.left.remove(step)


@given(count=st.integers(0, 8), failing=st.integers(0, 8))
def test_undo_mirrors_do_when_step_k_fails(count: int, failing: int) -> None:
    host = Host()
    try:
        with Undo() as undo:
            for step in range(count):
                if step == failing:
                    undo.callback(host.undo, step)
                    raise OSError(step)  # noqa: TRY301 - the block is what is tested
                host.do(step, undo)
            undo.keep()
    except OSError:
        assert host.left == []
        assert host.undone == list(range(failing, -1, -1))
    else:
        assert host.left == list(range(count))
        assert host.undone == []


def test_what_is_not_kept_is_undone_at_the_end_too() -> None:
    host = Host()
    with Undo() as undo:
        host.do(1, undo)
    assert host.undone == [1]


def test_an_undo_that_fails_is_noted_on_the_first_error() -> None:
    host = Host()

    def fail() -> None:
        raise ValueError("stuck")

    with pytest.raises(KeyError) as raised, Undo() as undo:  # noqa: PT012 - the block is what is tested
        host.do(1, undo)
        undo.callback(fail)
        host.do(2, undo)
        raise KeyError("cause")
    assert raised.value.__notes__ == ["undoing it failed as well: stuck"]
    assert host.left == []


def test_undos_that_fail_alone_are_raised_together() -> None:
    def fail(words: str) -> None:
        raise ValueError(words)

    with pytest.raises(ValueError, match="second") as raised, Undo() as undo:  # noqa: PT012 - the block is what is tested
        undo.callback(fail, "first")
        undo.callback(fail, "second")
    assert raised.value.__notes__ == ["undoing it failed as well: first"]


def test_an_interrupt_in_between_leaves_nothing_half_undone() -> None:
    host = Host()

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Undo() as undo:  # noqa: PT012 - the block is what is tested
        host.do(1, undo)
        undo.callback(interrupted)
        raise ValueError("cause")
    assert host.left == []


@given(below=st.integers(0, 4), above=st.integers(0, 4))
def test_one_undo_can_take_the_place_of_the_last_ones(below: int, above: int) -> None:
    host = Host()
    with Undo() as undo:
        for step in range(below):
            host.do(step, undo)
        height = undo.height
        for step in range(above):
            host.do(below + step, undo)
        undo.instead(height, lambda: host.undone.append(99))
    assert host.undone == [99, *reversed(range(below))]
