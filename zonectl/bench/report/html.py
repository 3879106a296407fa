"""A run as one page of HTML that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import TYPE_CHECKING

from zonectl.bench.report import figures, panels
from zonectl.bench.report.findings import derive
from zonectl.bench.report.markup import join, raw, tag
from zonectl.bench.report.terminal import cautions, machine, noise

if TYPE_CHECKING:
    from zonectl.bench.report.findings import Findings
    from zonectl.bench.report.markup import Markup
    from zonectl.bench.results import Run

_STYLE = os.path.join(os.path.dirname(__file__), "page.css")


def page(run: Run) -> str:
    """The page.

    Names and host strings in it are somebody else's. They are escaped where they stand, and besides a policy forbids
    the page to load or run anything at all (Content Security Policy, level 3): only its own style sheet is let in, by
    its digest. The zone's file is left out, as a page is made to be shown and an `env` may hold secrets; the run's
    document has it.
    """
    found = derive(run)
    with open(_STYLE, encoding="utf-8") as stream:
        style = stream.read()
    return f"<!doctype html>\n{tag('html', _head(run, style), tag('body', _body(found)), lang='en')}\n"


def _head(run: Run, style: str) -> Markup:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"What isolation costs: {run.zone}"),
        tag("style", raw(style)),
    )


def _body(found: Findings) -> Markup:
    return join(
        tag("header", _masthead(found), class_="page"),
        tag("main", *panels.all_of(found), class_="page"),
        tag("footer", _foot(found), class_="page"),
    )


def _masthead(found: Findings) -> Markup:
    run = found.run
    facts = (
        run.started_at,
        f"{figures.span(run.duration_s)}",
        f"processor {run.processor}",
        machine(run.host),
    )
    warnings = cautions(found)
    floor = noise(found)
    return join(
        tag("p", tag("span", "zonectl"), " bench", class_="mark"),
        tag("h1", "What isolation costs"),
        tag("p", "zone ", tag("strong", run.zone), class_="zone"),
        panels.answer(found),
        tag("ul", *(tag("li", fact) for fact in facts), class_="facts"),
        tag("ul", *(tag("li", each) for each in warnings), class_="warnings") if warnings else None,
        tag("p", floor, class_="floor") if floor else None,
    )


def _foot(found: Findings) -> Markup:
    version = found.run.host.versions.get("zonectl", "")
    return join(
        tag("p", f"Measured by zonectl {version}. This page holds no script and loads nothing."),
        tag("p", "Every sample, and the zone's file, is in the document that `zonectl bench --json` writes."),
    )
