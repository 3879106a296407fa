"""A setting: one text to be written to one file of a group."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """`value` is to be written to the group's `file`, because `[resources]` has `key`.

    `default` is the text that takes the setting back. `device` is the path of the block device whose
    `MAJOR:MINOR` goes in front of the text, for files that have a line a device.
    """

    key: str
    file: str
    value: str
    default: str
    summary: str
    device: str | None = None

    @property
    def controller(self) -> str:
        """The controller whose file it is: what stands before the first dot."""
        return self.file.partition(".")[0]
