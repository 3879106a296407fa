"""What can go wrong in the lane, as opposed to in the command that runs there.

LaneError              the lane or the guest failed
|- MissingProgram      the host lacks a program; the hint names the package
|- BootError           the guest did not come up, the command has not been started: worth another try
`- DeadlineError       the time given for all of it is over
Interrupted            a signal asked the lane to stop
"""

from __future__ import annotations


class LaneError(Exception):
    """The lane or the guest failed, not the command."""


class MissingProgram(LaneError):
    """A program is not on this host."""

    def __init__(self, program: str, package: str) -> None:
        super().__init__(f"{program} is not installed\n  install the package {package}")
        self.program = program
        self.package = package


class BootError(LaneError):
    """The guest did not come up; nothing of the command has run."""


class DeadlineError(LaneError):
    """The command had not ended when its time was over."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"no end after {timeout_s:g} s")
        self.timeout_s = timeout_s


class Interrupted(Exception):
    """A signal asked the lane to stop."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"signal {signum}")
        self.signum = signum
