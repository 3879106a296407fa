from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.config.strategies import configs
from zonectl.config import absolute, dumps, edit, parse

if TYPE_CHECKING:
    from zonectl.model.config import ZoneConfig

FILE = """\
#:schema ./zone.schema.json
name = "web"          # the name

[root]
path = "roots/web"    # beside this file

[resources]
memory = "64MiB"      # enough

[[mount]]
source = "www"        # mine
target = "/var/www"

[[mount]]
source = "/etc/motd"
target = "/etc/motd"
"""


@pytest.mark.parametrize(
    ("key", "value", "before", "after"),
    [
        ("resources.memory", "1GiB", 'memory = "64MiB"      # enough', 'memory = "1GiB"      # enough'),
        ("resources.cpus", "1.5", "# enough\n", "# enough\ncpus = 1.5\n"),
        ("resources.pids", 512, "# enough\n", "# enough\npids = 512\n"),
        ("name", "db", 'name = "web" ', 'name = "db" '),
        ("user", "1000", "# the name\n", '# the name\nuser = "1000"\n'),
        ("autostart", True, "# the name\n", "# the name\nautostart = true\n"),
        ("mount[1].readonly", "true", '"/etc/motd"\n', '"/etc/motd"\nreadonly = true\n'),
        ("mount[0].target", "/www", '"/var/www"', '"/www"'),
        ("resources.memory", None, 'memory = "64MiB"      # enough\n', ""),
    ],
)
def test_an_edit_changes_its_line_alone(key: str, value: object, before: str, after: str) -> None:
    head, _, tail = FILE.rpartition(before)
    assert edit(FILE, key, value) == head + after + tail


def test_a_table_that_is_missing_is_made() -> None:
    assert edit(FILE, "network.nat", "false") == FILE + "\n[network]\nnat = false\n"
    assert parse(edit(FILE, "env.A", "1"), file="f", folder="/").env == (("A", "1"),)


@pytest.mark.parametrize("key", ["a..b", "name.x", "mount[2].target", "mount.target", "root[0]"])
def test_edits_that_lead_nowhere(key: str) -> None:
    with pytest.raises(ValueError, match=r"not|in"):
        edit(FILE, key, "1")


def test_only_what_is_there_can_be_taken_out() -> None:
    with pytest.raises(ValueError, match="'cpus' is not in a table"):
        edit(FILE, "resources.cpus", None)


def test_what_is_not_toml_cannot_be_edited() -> None:
    with pytest.raises(ValueError, match="at line 1"):
        edit("= 1\n", "name", "web")


def test_paths_become_absolute_and_nothing_else_changes() -> None:
    expected = FILE.replace('"roots/web"', '"/srv/z/roots/web"').replace('"www"', '"/srv/z/www"')
    assert absolute(FILE, "/srv/z") == expected
    assert absolute(expected, "/elsewhere") == expected


def test_absolute_leaves_what_is_wrong_to_the_reader() -> None:
    text = 'root = 1\nmount = "x"\n'
    assert absolute(text, "/srv") == text


def test_the_stored_text_means_the_same() -> None:
    assert parse(absolute(FILE, "/srv"), file="f", folder="/other") == parse(FILE, file="f", folder="/srv")


@given(configs(), st.integers(1, 4_194_304))
def test_an_edit_changes_its_value_alone(config: ZoneConfig, pids: int) -> None:
    text = dumps(config)
    edited = parse(edit(text, "resources.pids", pids), file="f", folder="/")
    assert edited == parse(text, file="f", folder="/", overrides=[f"resources.pids={pids}"])
