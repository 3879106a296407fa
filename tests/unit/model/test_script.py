"""The script of init: what is packed, and that the program in C has the same calls in the same order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zonectl.errors import ZonectlError
from zonectl.model import script as scripts
from zonectl.model.script import HERE, Script

NATIVE = Path(__file__).parents[3] / "native"
KNOWN_OTHERWISE = {
    "STEP": "begin_step",
    "UNSHARE": "leave_namespaces",
    "HOST_NAME": "set_host_name",
    "DOMAIN_NAME": "set_domain_name",
    "MOUNT": "make_mount",
    "OPEN": "open_place",
    "CLONE": "take_clone",
    "MOVE": "move_to",
    "FILESYSTEM": "make_filesystem",
    "CLOSE": "close_kept",
    "FOLDER": "open_folder",
    "FILE": "open_file",
    "FIND": "find_folder",
    "POINT": "make_point",
    "WRITE": "write_setting",
}


def test_the_program_in_c_has_the_same_calls_in_the_same_order() -> None:
    (table,) = re.findall(r"calls\[\]\)\(void\) = \{([^}]*)\}", (NATIVE / "assembly.c").read_text())
    names = [name.strip() for name in table.split(",") if name.strip()]
    assert names == [KNOWN_OTHERWISE.get(code.name, code.name.lower()) for code in scripts._Code]
    assert [code.value for code in scripts._Code] == list(range(len(names)))


def test_both_know_the_same_format_and_limits() -> None:
    header, assembly = (NATIVE / "entry.h").read_text(), (NATIVE / "assembly.c").read_text()
    assert f"MAGIC = {scripts.MAGIC:#x}," in header
    assert f"FORMAT = {scripts.FORMAT}," in header
    assert f"MOST_OPENED = {scripts._MOST_OPENED}, MOST_CONDITIONS = {scripts._MOST_CONDITIONS}," in assembly
    assert "FIRST_TREE = 1U << 16, HERE = UINT32_MAX" in assembly
    assert (scripts._FIRST_TREE, HERE) == (1 << 16, 2**32 - 1)


def test_registers_are_free_again_when_they_are_closed() -> None:
    script = Script()
    for _ in range(3):
        taken = [script.descriptor() for _ in range(scripts._MOST_OPENED)]
        assert len(set(taken)) == scripts._MOST_OPENED
        with pytest.raises(ZonectlError, match="too much at once"):
            script.descriptor()
        script.close(*taken)


def test_there_are_so_many_conditions_and_the_first_is_nobodys() -> None:
    script = Script()
    assert [script.condition() for _ in range(scripts._MOST_CONDITIONS - 1)] == list(range(1, 256))
    with pytest.raises(ZonectlError, match="too many conditions"):
        script.condition()


def test_a_nul_is_refused() -> None:
    with pytest.raises(ZonectlError, match="NUL"):
        Script().change_folder("a\0b")


def test_a_call_is_its_number_its_condition_its_length_and_its_arguments() -> None:
    script = Script()
    script.move(Script.tree(1), HERE, "ab", when=7)
    head = b"\x45\x4e\x4f\x5a" + b"\x02\0\0\0"
    arguments = b"\x01\0\x01\0" + b"\xff" * 4 + b"\x02\0\0\0ab\0"
    number = int(scripts._Code.MOVE).to_bytes(4, "little")
    assert script.packed() == head + number + b"\x07\0\0\0" + len(arguments).to_bytes(4, "little") + arguments
