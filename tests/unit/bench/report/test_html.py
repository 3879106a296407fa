"""The page is one document that is well-formed, loads nothing, and holds no markup but ours."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.bench.report import runs
from zonectl.bench.report import html
from zonectl.bench.report.markup import join, raw, tag, text

if TYPE_CHECKING:
    from zonectl.bench.results import WorkloadFacts

VOID = {"meta", "br", "hr"}
OURS = set(
    re.findall(
        r"\w+",
        "html head meta title style body header main footer section h1 h2 h3 p ul li dl dt dd strong b i small span "
        "div table thead tbody tr th td details summary figure figcaption svg desc line rect circle text",
    )
)
LOADING = {"src", "href", "xlink:href", "srcset", "data", "action", "background", "poster", "style"}


class Reader(HTMLParser):
    """Reads what a browser would, and complains where that would have to guess."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.named_svgs: list[bool] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), (tag, attrs)
        if tag == "svg":
            self.named_svgs.append(dict(attrs).get("aria-hidden") == "true")
        if tag == "title" and self.open[-1] == "svg":
            self.named_svgs[-1] = True
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


@pytest.fixture(params=runs.ALL)
def run_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@functools.cache
def page_of(name: str) -> str:
    return html.page(runs.ALL[name]())


@functools.cache
def words_of(name: str) -> list[str]:
    return Reader(page_of(name)).words


@pytest.fixture
def page(run_name: str) -> str:
    return page_of(run_name)


def test_it_is_well_formed_and_made_of_our_elements_alone(page: str) -> None:
    assert page.startswith("<!doctype html>\n<html lang=")
    read = Reader(page)
    assert {tag for tag, _ in read.elements} <= OURS
    assert [tag for tag, _ in read.elements].count("style") == 1


def test_it_runs_and_loads_nothing(page: str) -> None:
    for tag_, attributes in Reader(page).elements:
        assert not LOADING & set(attributes), tag_
        assert not any(name.startswith("on") for name in attributes), tag_
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(style) == 1
    assert "url(" not in style[0]
    assert "@import" not in style[0]


def test_its_policy_lets_in_its_own_style_and_nothing_else(page: str) -> None:
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policies = [
        attributes["content"]
        for _tag, attributes in Reader(page).elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == [
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    ]


def test_every_drawing_has_a_name_or_is_an_ornament(page: str) -> None:
    named = Reader(page).named_svgs
    assert named
    assert all(named)


def test_no_character_is_left_that_a_reader_would_not_see(page: str) -> None:
    assert all(char.isprintable() or char == "\n" for char in page)
    page.encode()


def test_hostile_names_are_words() -> None:
    read = Reader(page_of("hostile"))
    words = "".join(read.words)
    assert "<script>alert(1)</script>\"'&\\x1b[31m\\u{202e}evil" in words
    assert "integer<script>" in words
    titles = [attributes["title"] for _tag, attributes in read.elements if attributes.get("title")]
    assert titles


@pytest.mark.parametrize("workload", runs.plain().workloads, ids=lambda each: each.name)
def test_every_workload_has_its_row_with_its_figures(workload: WorkloadFacts) -> None:
    words = words_of("plain")
    assert workload.name in words
    assert workload.stresses in words


def test_a_rich_run_has_every_panel() -> None:
    words = words_of("rich")
    for title in (
        "Workload by workload",
        "The ladder",
        "The ladder as a table",
        "the rest",
        "Other kinds of isolation",
        "Life cycle",
        "Density",
        "Density as a table",
        "Round by round",
        "How it was measured",
        "Not measured",
        "/dev/kvm: No such file or directory",
        "Budget",
        "steal: 1.4 % of the time",
    ):
        assert title in words


def test_the_zone_file_with_its_secrets_is_no_part_of_the_page() -> None:
    assert "daemon off" in runs.rich().zone_file
    assert "daemon off" not in page_of("rich")


def test_what_was_not_measured_has_no_panel() -> None:
    words = words_of("plain")
    for title in (
        "The ladder",
        "Other kinds of isolation",
        "Life cycle",
        "Density",
        "Not measured",
        "Budget",
    ):
        assert title not in words


@pytest.mark.parametrize("arm", ["bare", "zone", "crun", "overlay", "control"])
@pytest.mark.parametrize("name", ["rich", "small"])
def test_any_arm_may_be_missing(name: str, arm: str) -> None:
    Reader(html.page(runs.without(runs.ALL[name](), arm=arm)))


def test_a_run_of_whole_commands_alone_does_not_miss_workloads() -> None:
    life = [each.name for each in runs.rich().workloads if each.group == runs.LIFE_GROUP]
    words = Reader(html.page(runs.only(runs.rich(), *life))).words
    assert "Life cycle" in words
    assert not any("No workload was measured" in each for each in words)


def test_a_run_that_was_broken_off_says_so() -> None:
    words = words_of("broken off")
    assert "broken off: only what was measured until then is shown" in words


def test_the_same_run_is_the_same_page() -> None:
    assert html.page(runs.small()) == html.page(runs.small())


@given(words=st.text(), value=st.text())
def test_any_text_is_a_text(words: str, value: str) -> None:
    made = tag("p", words, title=value)
    read = Reader(made)
    assert [name for name, _ in read.elements] == ["p"]
    assert list(read.elements[0][1]) == ["title"]
    made.encode()


def test_markup_is_made_of_markup_and_escaped_texts() -> None:
    assert join("<", None, raw("<b>"), text("&")) == "&lt;<b>&amp;"
    assert tag("line", x1=0, class_="a", aria_hidden=True, id=None, hidden=False) == (
        '<line x1="0" class="a" aria-hidden></line>'
    )
    assert tag("meta", name="x") == '<meta name="x">'
