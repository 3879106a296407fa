"""The page in a real browser: nothing runs over, nothing fails, everything is drawn and can be read."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.unit.bench.report import runs
from tools import chromium
from zonectl.bench.report import document, html

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.requires("program:chromium")

TELEPHONE, DESK = 360, 1280
SOUNDS = {"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"}
PROBE = (Path(__file__).parent / "page_probe.js").read_text(encoding="utf-8")
ATTACK = "<script>document.title = 'taken'</script><img src='http://127.0.0.1:9/x'>"


@pytest.fixture(scope="module")
def page() -> Iterator[chromium.Page]:
    with chromium.page() as opened:
        yield opened


class Seen:
    """A page as it looks at some width, with everything that can be unfolded."""

    def __init__(self, page: chromium.Page, url: str, *, width: int, scheme: str) -> None:
        page.resize(width, 900, scheme=scheme)
        page.open(url)
        self._page = page
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")

    def asked(self, what: str) -> object:
        return self._page.evaluate(f"({PROBE}).{what}")

    def added(self, markup: str) -> None:
        self._page.evaluate(f"document.body.insertAdjacentHTML('beforeend', {markup!r})")

    @property
    def complaints(self) -> list[object]:
        return [event["params"] for event in self._page.events if event["method"] in SOUNDS]

    def _params(self, method: str) -> list[dict[str, Any]]:
        return [
            cast("dict[str, Any]", event["params"])
            for event in self._page.events
            if event["method"] == method
        ]

    @property
    def loaded(self) -> list[str]:
        """What was asked for and not blocked."""
        blocked = [
            params["requestId"]
            for params in self._params("Network.loadingFailed")
            if self._is_blocked(params)
        ]
        sent = self._params("Network.requestWillBeSent")
        return [params["request"]["url"] for params in sent if params["requestId"] not in blocked]

    @staticmethod
    def _is_blocked(params: dict[str, Any]) -> bool:
        return params.get("blockedReason") == "csp"


def written(folder: Path, text: str) -> str:
    file = folder / "page.html"
    file.write_text(text, encoding="utf-8")
    return file.as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [TELEPHONE, DESK])
@pytest.mark.parametrize("name", runs.ALL)
def test_it_fits_is_drawn_and_can_be_read(
    page: chromium.Page, tmp_path: Path, name: str, width: int, scheme: str
) -> None:
    url = written(tmp_path, html.page(runs.ALL[name]()))
    seen = Seen(page, url, width=width, scheme=scheme)
    assert seen.complaints == []
    assert seen.loaded == [url]
    assert seen.asked("overflow()") == 0
    assert seen.asked("escaped()") == []
    drawings = seen.asked("drawings()")
    assert isinstance(drawings, list)
    assert drawings
    assert [
        each for each in drawings if each["width"] < 10 or each["height"] < 10 or not each["shapes"]
    ] == []
    assert [each for each in drawings if not each["named"]] == []
    assert seen.asked("pale(4.5)") == []


def test_the_schemes_differ(page: chromium.Page, tmp_path: Path) -> None:
    url = written(tmp_path, html.page(runs.small()))
    grounds = [Seen(page, url, width=DESK, scheme=scheme).asked("ground()") for scheme in ("light", "dark")]
    assert grounds == [[255, 255, 255, 1], [16, 21, 27, 1]]


def test_a_telephone_shows_all_figures_of_a_row(page: chromium.Page, tmp_path: Path) -> None:
    seen = Seen(page, written(tmp_path, html.page(runs.small())), width=TELEPHONE, scheme="light")
    words = str(seen.asked("words()"))
    for figure in ("getpid", "the shortest call", "+30.1", "+28.9..+69.3", "cannot tell"):
        assert figure in words


def test_a_picture_of_a_panel_for_the_documentation(tmp_path: Path) -> None:
    run, picture = tmp_path / "run.json", tmp_path / "picture.png"
    run.write_text(document.dump(runs.rich()), encoding="utf-8")
    tool = Path(__file__).parents[3] / "tools" / "page_picture.py"
    options = ("--panel", "The ladder", "--width", "700", "--scale", "1")
    subprocess.run([sys.executable, tool, run, picture, *options], check=True, timeout=100)
    signature, width, height = struct.unpack(">16sII", picture.read_bytes()[:24])
    assert signature.startswith(b"\x89PNG")
    assert width == 700
    assert 500 < height < 2000


# That what is asked above would be seen.


def test_what_runs_over_is_seen(page: chromium.Page, tmp_path: Path) -> None:
    seen = Seen(page, written(tmp_path, html.page(runs.small())), width=TELEPHONE, scheme="light")
    assert seen.asked("overflow()") == 0
    seen.added("<svg width='500' height='20'></svg>")
    assert seen.asked("overflow()") != 0
    assert seen.asked("escaped()") == ["svg"]


def test_what_is_pale_is_seen(page: chromium.Page, tmp_path: Path) -> None:
    url = written(tmp_path, html.page(runs.small()))
    seen = Seen(page, url, width=DESK, scheme="light")
    seen.added(
        "<p><font color='#999999'>pale</font></p><svg height='20'><text y='15' fill='#aaaaaa'>faint</text></svg>"
    )
    pale = seen.asked("pale(4.5)")
    assert isinstance(pale, list)
    assert [each["words"] for each in pale] == ["pale", "faint"]


def test_a_script_that_got_in_would_not_run_and_would_be_seen(page: chromium.Page, tmp_path: Path) -> None:
    text = html.page(runs.small())
    url = written(tmp_path, text.replace("</main>", f"{ATTACK}</main>"))
    seen = Seen(page, url, width=DESK, scheme="light")
    assert seen.asked("title()") == "What isolation costs: web"
    assert seen.complaints
    assert seen.loaded == [url]


def test_without_its_policy_that_script_runs(page: chromium.Page, tmp_path: Path) -> None:
    text = html.page(runs.small()).replace("Content-Security-Policy", "Nothing")
    url = written(tmp_path, text.replace("</main>", f"{ATTACK}</main>"))
    seen = Seen(page, url, width=DESK, scheme="light")
    assert seen.asked("title()") == "taken"
    assert seen.loaded == [url, "http://127.0.0.1:9/x"]
