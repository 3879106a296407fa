"""Finding what is needed by taking away: the smallest that a test still passes with, in few tests. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

T = TypeVar("T")


def least(groups: Sequence[Sequence[T]], passes: Callable[[frozenset[T]], bool]) -> tuple[T, ...]:
    """Parts, in their order, with which `passes` holds, and without any one of which it does not.

    It must hold for all parts of all groups; it is asked about no set twice. Of each group, one after the other, all
    are taken away first, then halves of what may be needed, then single ones (delta debugging, Zeller and Hildebrandt
    2002): some 2 n tests where all n are needed, one where none is. A test may hold for a set and fail for a larger
    one; that costs further rounds and a chance of something smaller, never the promise.
    """
    search = _Search(tuple(part for group in groups for part in group), passes)
    for group in groups:
        search.strip(group)
    while search.one_more_round():
        pass
    return search.kept()


class _Search(Generic[T]):
    """What is still kept, and what has been asked."""

    def __init__(self, parts: tuple[T, ...], passes: Callable[[frozenset[T]], bool]) -> None:
        self._parts = parts
        self._passes = passes
        self._left = frozenset(parts)
        self._known: dict[frozenset[T], bool] = {self._left: True}

    def kept(self) -> tuple[T, ...]:
        return tuple(part for part in self._parts if part in self._left)

    def strip(self, group: Sequence[T], *, needed: bool = False) -> None:
        """Take away what is not needed of `group`; `needed` says that something of it is."""
        if not group or (not needed and self._without(group)):
            return
        if len(group) == 1:
            return
        middle = len(group) // 2
        first, second = group[:middle], group[middle:]
        self.strip(first)
        # If nothing of the first half was needed, something of the second is.
        self.strip(second, needed=self._left.isdisjoint(first))

    def one_more_round(self) -> bool:
        """Ask about each single part with what is kept now; whether one could be taken away."""
        return any(self._without((part,)) for part in self.kept())

    def _without(self, group: Collection[T]) -> bool:
        """Take `group` away if the test passes without it."""
        rest = self._left.difference(group)
        if rest not in self._known:
            self._known[rest] = self._passes(rest)
        if self._known[rest]:
            self._left = rest
        return self._known[rest]
