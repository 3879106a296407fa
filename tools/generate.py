"""Write anew what is made from descriptions: schemas, the zone file's reference, the commands', workloads, faults.

    .venv/bin/python tools/generate.py

A test fails when one is not current.
"""

from __future__ import annotations

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from tools import reliability  # noqa: E402 - runs from the tree, installed or not
from tools.pages import renewed  # noqa: E402 - as above
from zonectl.bench import reference as workloads  # noqa: E402 - as above
from zonectl.bench.report import schema as bench  # noqa: E402 - as above
from zonectl.cli import reference  # noqa: E402 - as above
from zonectl.config import reference as keys  # noqa: E402 - as above
from zonectl.config.schema import schema_text  # noqa: E402 - as above

SCHEMA = os.path.join(ROOT, "configs", "zone.schema.json")
PAGE = os.path.join(ROOT, "docs", "manual", "zone-file.md")
COMMANDS = os.path.join(ROOT, "docs", "manual", "commands.md")
RUNS = os.path.join(ROOT, "docs", "manual", "bench-run.schema.json")
BENCH = os.path.join(ROOT, "docs", "manual", "bench.md")
COLUMNS = "80"


def main() -> None:
    """Write the files."""
    with open(PAGE, encoding="utf-8") as stream:
        page = renewed(stream.read(), keys.BEGIN, keys.END, text=keys.reference_text())
    with open(BENCH, encoding="utf-8") as stream:
        measuring = renewed(stream.read(), workloads.BEGIN, workloads.END, text=workloads.workloads_text())
    faults = renewed(
        reliability.PAGE.read_text(encoding="utf-8"),
        reliability.BEGIN,
        reliability.END,
        text=reliability.table(reliability.faults()),
    )
    # The commands explain themselves as wide as the terminal is.
    os.environ["COLUMNS"] = COLUMNS
    made = {
        SCHEMA: schema_text(),
        RUNS: bench.schema_text(),
        PAGE: page,
        COMMANDS: reference.page(),
        BENCH: measuring,
        str(reliability.PAGE): faults,
    }
    for path, text in made.items():
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)


if __name__ == "__main__":
    main()
