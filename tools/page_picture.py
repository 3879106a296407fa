"""A page of HTML as a picture, as it looks in Chromium: for the documentation.

    .venv/bin/python tools/page_picture.py PAGE.html PICTURE.png [--width 1000] [--scheme dark] [--height 1400]

The whole page, or only its upper part. Pixels are doubled for fine screens, unless `--scale 1` is given.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from tools import chromium  # noqa: E402 - runs from the tree, installed or not


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=1000, help="of the window, in CSS pixels")
    parser.add_argument("--height", type=int, help="how much of the page; all of it by default")
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    parser.add_argument("--scale", type=float, default=2, help="pixels of the picture for one of CSS")
    asked = parser.parse_args()
    with chromium.page() as page:
        page.resize(asked.width, asked.height or 1000, scheme=asked.scheme, scale=asked.scale)
        page.open(asked.page.resolve().as_uri())
        asked.picture.write_bytes(page.picture(height=asked.height))


if __name__ == "__main__":
    main()
