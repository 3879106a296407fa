"""Files that somebody else may have written: no text upsets the reader, and none costs more than a moment."""

from __future__ import annotations

import tomllib
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.config.files import MOST_BYTES, MOST_PARTS, toml_document
from zonectl.config.profile_file import read_oci, read_toml
from zonectl.errors import ConfigError
from zonectl.security.seccomp import architectures

KNOWN = architectures.every_name()
BOUND_BYTES = 128 << 20

PLAIN = ("a", "b-1", '"x.y"', "'.'", "1", "1.5", "true", "é", "\0", "a.b.c.d.e.f.g", "0x", "1979-05-27")
SIGNS = (
    ".",
    ". ",
    " .",
    "=",
    " = ",
    "\n",
    "[",
    "]",
    "[[",
    "{",
    "}",
    ",",
    '"',
    "'",
    '"""',
    "'''",
    "\\",
    "#",
    "\t",
)
PIECES = st.sampled_from((*PLAIN, *SIGNS, "# a.b\n"))
TEXTS = st.text() | st.lists(PIECES, max_size=60).map("".join)


@given(TEXTS)
def test_any_text_is_what_tomllib_reads_or_a_problem(text: str) -> None:
    try:
        document = toml_document(text, "it.toml")
    except ConfigError:
        return
    assert document == tomllib.loads(text)


@given(
    st.integers(1, 3 * MOST_PARTS),
    st.sampled_from([".", " . ", "\t."]),
    st.sampled_from(["{}", "[{}]", "x = {{ {} = 1 }}"]),
)
def test_a_key_has_so_many_parts_and_no_more(count: int, dot: str, form: str) -> None:
    key = dot.join(["a", '"b.c"', "'d'", "e-f"][n % 4] for n in range(count))
    text = form.format(key) + (" = 1" if form == "{}" else "")
    if count <= MOST_PARTS:
        assert toml_document(f"\n{text}\n", "it.toml")
    else:
        with pytest.raises(ConfigError, match=rf"it.toml:2: .*more than {MOST_PARTS} parts"):
            toml_document(f"\n{text}\n", "it.toml")


@pytest.mark.parametrize(
    "text", ['x = "{}"', "x = '{}'", 'x = """\n{}\n"""', "x = '''{}\"'''", "x = 1  # {}", "# '{}"]
)
def test_dots_in_strings_and_comments_are_no_key(text: str) -> None:
    assert toml_document(text.format("a." * 100), "it.toml") == tomllib.loads(text.format("a." * 100))


FULL = MOST_BYTES // 16
HOSTILE = {
    "dots": "a" + ".a" * FULL + " = 1",
    "table": "[" + "a." * FULL + "a]",
    "keys at the bound": "".join(
        ".".join(f"{n:x}" for _ in range(MOST_PARTS)) + " = 1\n" for n in range(3000)
    ),
    "arrays": "allow = " + "[" * FULL,
    "inline tables": "x = " + "{a=" * FULL,
    "quotes": '"' * FULL,
    "escaped quotes": '"\\' * FULL,
    "quotes of several lines": 'x = """' + '"" ' * FULL,
    "a word": "a" * FULL,
    "a number": "x = " + "1" * FULL,
    "a hexadecimal number": "[[rule]]\ncalls=['read']\naction='allow'\n[[rule.when]]\nargument=0\nbits=64\nequals=0x"
    + "f" * FULL,
    "unknown names": "allow = [" + ",".join(f'"call{n}"' for n in range(3000)) + "]",
    "the same name": "allow = [" + ",".join(['"read"'] * 3000) + "]",
    "rules of nothing": "[[rule]]\n" * 2000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.timeout(60)
def test_a_hostile_profile_costs_little(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError):
            read_toml(HOSTILE[name], file="it.toml", known=KNOWN)
        assert tracemalloc.get_traced_memory()[1] < BOUND_BYTES
    finally:
        tracemalloc.stop()


HOSTILE_JSON = {
    "arrays": "[" * FULL,
    "objects": '{"a":' * FULL,
    "a number": '{"defaultErrnoRet":' + "1" * FULL + "}",
    "a key": '{"' + "k" * FULL + '":1}',
    "unknown names": '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_ERRNO","names":['
    + ",".join(f'"x{n}"' for n in range(3000))
    + "]}]}",
    "half a character": '{"defaultAction":"\\ud800"}',
}


@pytest.mark.parametrize("name", HOSTILE_JSON)
@pytest.mark.timeout(60)
def test_a_hostile_profile_of_json_costs_little(name: str) -> None:
    with pytest.raises(ConfigError):
        read_oci(HOSTILE_JSON[name], file="it.json", known=KNOWN, architecture="SCMP_ARCH_X86_64")
