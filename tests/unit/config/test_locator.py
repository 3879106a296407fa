from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.config.locator import Path, key_text, locate

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERYTHING = '''\
# line 1
a.b . "c d" = 1
'e' = """
= not a key
[nor a table] \\""" ""\\
"""""
f = \'\'\'
'' # no comment
\'\'\'\'\'
g = [ # 10
  1, [2,
    "]", 3], { x = 1, y.z = "}" },
  1979-05-27 07:32:00Z,
]
[h]     # 15
i = { }
j = []
[[k]]
l = 1
[k.m] # 20
n = 2
[[k.o]]
p = 3
[[k.o]]
p = 4
[[k]]
[k."m"]
n = 5
[q.r]
s = 6
[q]
t = 7
"" = 8
"\\u00e9\\"" = 9
'''

EXPECTED = {
    ("a",): 2,
    ("a", "b"): 2,
    ("a", "b", "c d"): 2,
    ("e",): 3,
    ("f",): 7,
    ("g",): 10,
    ("g", 0): 11,
    ("g", 1): 11,
    ("g", 1, 0): 11,
    ("g", 1, 1): 12,
    ("g", 1, 2): 12,
    ("g", 2): 12,
    ("g", 2, "x"): 12,
    ("g", 2, "y"): 12,
    ("g", 2, "y", "z"): 12,
    ("g", 3): 13,
    ("h",): 15,
    ("h", "i"): 16,
    ("h", "j"): 17,
    ("k",): 18,
    ("k", 0): 18,
    ("k", 0, "l"): 19,
    ("k", 0, "m"): 20,
    ("k", 0, "m", "n"): 21,
    ("k", 0, "o"): 22,
    ("k", 0, "o", 0): 22,
    ("k", 0, "o", 0, "p"): 23,
    ("k", 0, "o", 1): 24,
    ("k", 0, "o", 1, "p"): 25,
    ("k", 1): 26,
    ("k", 1, "m"): 27,
    ("k", 1, "m", "n"): 28,
    ("q",): 29,
    ("q", "r"): 29,
    ("q", "r", "s"): 30,
    ("q", "t"): 32,
    ("q", ""): 33,
    ("q", 'é"'): 34,
}


def paths(value: object, path: Path = ()) -> Iterator[Path]:
    """Every path of a document."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield (*path, key)
        yield from paths(inner, (*path, key))


def test_every_kind_of_layout() -> None:
    assert dict(locate(EVERYTHING)) == EXPECTED
    assert set(paths(tomllib.loads(EVERYTHING))) == set(EXPECTED)


def test_windows_line_ends() -> None:
    assert dict(locate(EVERYTHING.replace("\n", "\r\n"))) == EXPECTED


keys = st.text("ab-_.é \"'\\\n#=[]", max_size=4)
scalars = st.sampled_from(
    [
        "1",
        "-inf",
        "true",
        '"#]}"',
        "'\"'",
        '"""x"""',
        '"""\n"\n""a\n"""',
        "'''\n'\n'''",
        "1979-05-27 07:32:00",
        '"\\""',
        "''",
    ]
)


def quoted(key: str) -> str:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@st.composite
def values(draw: st.DrawFn, depth: int = 2) -> tuple[list[tuple[Path, int]], str]:
    """A value: the places in it, as paths and lines relative to its own, and its text."""
    shape = draw(st.sampled_from(["scalar", "array", "table"] if depth else ["scalar"]))
    if shape == "scalar":
        return [], draw(scalars)
    places: list[tuple[Path, int]] = []
    text = "[" if shape == "array" else "{"
    gap = (
        st.sampled_from(["", " ", "\n", " # ] } \" '\n\n"])
        if shape == "array"
        else st.sampled_from(["", " "])
    )
    names: list[Any] = draw(st.lists(keys, max_size=3, unique=True))
    for number, name in enumerate(names):
        key: str | int = number if shape == "array" else name
        text += ("," if number else "") + draw(gap)
        places.append(((key,), text.count("\n")))
        text += "" if shape == "array" else f"{quoted(name)} ="
        line = text.count("\n")
        inner, inner_text = draw(values(depth - 1))
        places += [((key, *path), line + below) for path, below in inner]
        text += inner_text
    return places, text + draw(gap) + ("]" if shape == "array" else "}")


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[Path, int]]:
    """A document, and the line of each of its paths."""
    text = ""
    lines: dict[Path, int] = {}
    elements: dict[str, int] = {}
    headers = draw(st.lists(st.tuples(keys, st.booleans()), max_size=5, unique_by=lambda header: header[0]))
    repeated = [header for header in headers if header[1] for _ in range(draw(st.integers(1, 3)))]
    text += draw(_pairs((), lines, text, frozenset(name for name, _ in headers)))
    for name, array in [*(header for header in headers if not header[1]), *repeated]:
        text += draw(st.sampled_from(["", "\n", "# [x]\n", "\t\n"]))
        line = text.count("\n") + 1
        lines.setdefault((name,), line)
        table: Path = (name,)
        if array:
            elements[name] = elements.get(name, -1) + 1
            table = (name, elements[name])
            lines[table] = line
        text += f"[[ {quoted(name)} ]]\n" if array else f"[{quoted(name)}] # [[\n"
        text += draw(_pairs(table, lines, text, frozenset()))
    return text, lines


@st.composite
def _pairs(draw: st.DrawFn, table: Path, lines: dict[Path, int], before: str, taken: frozenset[str]) -> str:
    """Pairs of a table, as text; their lines go into `lines`."""
    text = ""
    for key in draw(st.lists(keys, max_size=3, unique=True)):
        if key in taken:
            continue
        line = (before + text).count("\n") + 1
        lines[*table, key] = line
        places, value = draw(values())
        lines.update({(*table, key, *path): line + below for path, below in places})
        text += f"{quoted(key)} = {value}\n"
    return text


@given(documents())
def test_lines_are_exact(document: tuple[str, dict[Path, int]]) -> None:
    text, lines = document
    assert set(paths(tomllib.loads(text))) == set(lines)
    assert dict(locate(text)) == lines


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("resources", "io", 0, "device"), "resources.io[0].device"),
        (("mount", 3), "mount[3]"),
        (("env", "a.b"), 'env."a.b"'),
        (("",), '""'),
        (("a\x1b[2J",), '"a\\x1b[2J"'),
        (("a\u202eb",), '"a\\u202eb"'),
        (('"',), '"\\""'),
        ((), ""),
    ],
)
def test_keys_as_problems_show_them(path: Path, text: str) -> None:
    assert key_text(path) == text
