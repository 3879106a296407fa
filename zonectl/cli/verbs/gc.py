"""gc: what killed commands have left, found by name and removed."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from zonectl.cli import question
from zonectl.cli.failure import FAILED
from zonectl.model.escape import escape

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting
    from zonectl.runtime.garbage import Garbage

DESCRIPTION = """\
Find what has no owner any more and remove it: what killed commands have left of zones and runs, control groups with all
that runs in them, links, ids and addresses of zones that are not there, temporary files, and bridges and tables when
there are no zones at all. Everything is found by its name, and only what is this instance's. It asks first; without a
terminal it refuses, unless -f is given. Layers of images that nothing needs are image prune's.
"""
EXAMPLES = """\
zonectl gc --dry-run
zonectl gc -f
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("-n", "--dry-run", action="store_true", help="only show what would be removed")
    parser.add_argument("-f", "--force", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")


def run(options: Namespace, setting: Setting) -> int:
    """Find, ask, remove; what cannot be removed is told, and the rest goes."""
    from zonectl.cli.batch import Batch
    from zonectl.runtime import garbage

    found = garbage.find(setting.context())
    if found and not options.dry_run and not options.force:
        question.confirm("remove", [f"{each.kind} {each.name}" for each in found])
    batch = Batch(debug=setting.debug)
    if not options.dry_run:
        for each in found:
            batch.each([each.name], partial(_remove, each))
    gone = [each for each in found if not batch.codes.get(each.name)]
    if options.json:
        print(json.dumps([{"kind": each.kind, "name": each.name} for each in gone], indent=2))
    else:
        for each in gone:
            print(escape(f"{each.kind} {each.name}"))
    return FAILED if batch.worst else 0


def _remove(garbage: Garbage, _name: str) -> None:
    garbage.remove()
