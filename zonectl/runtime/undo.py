"""Rollback: what was done is pushed with its undo, and undone in reverse."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    Arguments = ParamSpec("Arguments")


class Undo:
    """A stack of undos, run when its `with` block ends, unless `keep` was called.

    Unlike contextlib's ExitStack, an undo that fails neither hides the error that made it necessary, which gets a
    note of it, nor the undos below it, which are still run.
    """

    def __init__(self) -> None:
        self._undos: list[Callable[[], object]] = []

    def callback(
        self, undo: Callable[Arguments, object], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> None:
        """Have `undo` called with these arguments in the end, before what was pushed earlier."""
        self._undos.append(lambda: undo(*args, **kwargs))

    @property
    def height(self) -> int:
        """How many undos there are."""
        return len(self._undos)

    def instead(self, height: int, undo: Callable[[], object]) -> None:
        """Have `undo` in the place of all that was pushed since there were `height`: it undoes their work, too."""
        self._undos[height:] = [undo]

    def keep(self) -> None:
        """Undo nothing: what was done stays."""
        self._undos.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        first: BaseException | None = None
        while self._undos:
            try:
                self._undos.pop()()
            except BaseException as failure:  # noqa: BLE001 - an interrupt too must not leave half of it done
                cause = error or first
                if cause is None or not isinstance(failure, Exception):
                    first = failure
                else:
                    cause.add_note(f"undoing it failed as well: {failure}")
        if first is not None:
            raise first
