"""Write anew what is made from the description of the zone file: the schema, and the reference in the manual.

    .venv/bin/python tools/generate.py

A test fails when either is not current.
"""

from __future__ import annotations

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from zonectl.config.reference import renewed  # noqa: E402 - runs from the tree, installed or not
from zonectl.config.schema import schema_text  # noqa: E402 - as above

SCHEMA = os.path.join(ROOT, "configs", "zone.schema.json")
PAGE = os.path.join(ROOT, "docs", "manual", "zone-file.md")


def main() -> None:
    """Write both files."""
    with open(PAGE, encoding="utf-8") as stream:
        page = renewed(stream.read())
    for path, text in ((SCHEMA, schema_text()), (PAGE, page)):
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)


if __name__ == "__main__":
    main()
