"""A page of HTML as a picture, as it looks in Chromium: for the documentation.

    .venv/bin/python tools/page_picture.py PAGE.html|RUN.json PICTURE.png [--width 1000] [--scheme dark] [--height 1400]

A run of the benchmark is made into its page first. The whole page, or only its upper part, or the panel whose heading
is given (`--panel "The ladder"`). Pixels are doubled for fine screens, unless `--scale 1` is given.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from tools import chromium  # noqa: E402 - runs from the tree, installed or not
from zonectl.bench.report import document, html  # noqa: E402 - as above


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=1000, help="of the window, in CSS pixels")
    parser.add_argument("--height", type=int, help="how much of the page; all of it by default")
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    parser.add_argument("--scale", type=float, default=2, help="pixels of the picture for one of CSS")
    parser.add_argument("--panel", help="the heading of the only panel that is wanted")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium.page() as page:
        page.resize(asked.width, asked.height or 1000, scheme=asked.scheme, scale=asked.scale)
        page.open(_page(asked.page, Path(folder)).as_uri())
        if asked.panel:
            page.evaluate(_ALONE % json.dumps(asked.panel))
        asked.picture.write_bytes(page.picture(height=asked.height))


_ALONE = """
(() => {
  const heading = [...document.querySelectorAll("h2")].find((each) => each.textContent === %s);
  document.querySelectorAll("header, footer, section, details").forEach((each) => {
    if (each !== heading.parentElement) each.remove();
  });
  document.querySelector("main").append(document.createElement("footer"));
})()
"""
"""Takes everything else out of the page."""


def _page(file: Path, folder: Path) -> Path:
    """The file, or the page of the run that it holds."""
    if file.suffix != ".json":
        return file.resolve()
    made = folder / "page.html"
    made.write_text(html.page(document.load(file.read_text(encoding="utf-8"), str(file))), encoding="utf-8")
    return made


if __name__ == "__main__":
    main()
