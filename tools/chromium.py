"""A headless Chromium, driven over a pipe by the DevTools protocol: pages as they really look.

Source: https://chromedevtools.github.io/devtools-protocol/; `--remote-debugging-pipe` reads commands from descriptor 3
and writes answers and events to 4, each a JSON text that ends in a NUL byte.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import signal
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
"""What distributions call it."""

_OPTIONS = (
    "--headless",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",  # /dev/shm may be as small as 64 MB
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-sandbox",  # its own does not start as root; what it opens are files of ours
)


Message: TypeAlias = dict[str, object]

_SILENT = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]


class BrowserError(Exception):
    """Chromium ended, or refused a command."""


class Page:
    """A page of a running Chromium."""

    def __init__(self, to: int, back: int) -> None:
        self._to = to
        self._back = os.fdopen(back, "rb", closefd=False)
        self._pending = b""
        self._number = 0
        self._session = ""
        self.events: list[Message] = []
        """What the page has said of itself since it was opened, in order."""

    def attach(self) -> None:
        """Open an empty page, and listen to what it says."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = str(self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def resize(self, width: int, height: int, *, scheme: str = "light", scale: float = 1) -> None:
        """Make the window so large, in CSS pixels, and prefer a colour scheme."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,  # noqa: PLR2004 - as narrow as a telephone
        )
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url: str) -> None:
        """Load an address, and wait until all of it is there."""
        self.events.clear()
        self._call("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._read()

    def evaluate(self, expression: str) -> object:
        """The value of an expression of JavaScript, which must be one of JSON."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(str(answer["exceptionDetails"]))
        return cast("Message", answer["result"]).get("value")

    def picture(self, *, height: int | None = None) -> bytes:
        """The page as PNG: as much of it as told, or all of it, however long."""
        size = cast("dict[str, float]", self._call("Page.getLayoutMetrics")["cssContentSize"])
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        shot = self._call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(str(shot["data"]))

    def _call(self, method: str, **params: object) -> Message:
        self._number += 1
        command: dict[str, object] = {"id": self._number, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        left = memoryview(json.dumps(command).encode() + b"\0")
        while left:
            left = left[os.write(self._to, left) :]
        while (answer := self._read()) is None or answer.get("id") != self._number:
            pass
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']}")
        return cast("Message", answer["result"])

    def _read(self) -> Message | None:
        """The next message, if it is an answer; events are kept."""
        while b"\0" not in self._pending:
            more = self._back.read1(1 << 16)
            if not more:
                raise BrowserError("chromium ended")
            self._pending += more
        text, _, self._pending = self._pending.partition(b"\0")
        message: Message = json.loads(text)
        if "id" in message:
            return message
        self.events.append(message)
        return None


def program() -> str | None:
    """Where Chromium is, if it is."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


@contextmanager
def page() -> Iterator[Page]:
    """A page of a Chromium of its own, with a fresh profile, which ends with the context."""
    found = program()
    if found is None:
        raise BrowserError("chromium is not installed")
    with ExitStack() as stack:
        profile = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        )
        from_us, to_it = _pipe()
        from_it, to_us = _pipe()
        stack.callback(os.close, to_it)
        stack.callback(os.close, from_it)
        pid = os.posix_spawn(
            found,
            [found, *_OPTIONS, f"--user-data-dir={profile}"],
            {**os.environ, "HOME": profile, "XDG_RUNTIME_DIR": profile, "TMPDIR": profile},
            file_actions=[*_SILENT, (os.POSIX_SPAWN_DUP2, from_us, 3), (os.POSIX_SPAWN_DUP2, to_us, 4)],
            setsid=True,  # a group of its own: Chromium is many processes
        )
        stack.callback(_end, pid)
        # Its ends are its own: when it ends, reading and writing must say so.
        os.close(from_us)
        os.close(to_us)
        opened = Page(to_it, from_it)
        opened.attach()
        yield opened


def _pipe() -> tuple[int, int]:
    """A pipe whose descriptors are none of those that the child is given."""
    ends = os.pipe()
    above = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return above[0], above[1]


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
