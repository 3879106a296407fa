"""The names of capabilities against those of the C library's header and of python-prctl."""

from __future__ import annotations

import re

import prctl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.model import capabilities
from zonectl.model.capabilities import ALL, NAMES, SETS, bits, grant, mask, names, words

HEADER = "/usr/include/linux/capability.h"


def test_names_are_those_of_the_kernels_header() -> None:
    with open(HEADER, encoding="ascii") as file:
        found = re.findall(r"#define CAP_(\w+)\s+(\d+)\n", file.read())
    assert {name.lower(): int(number) for name, number in found} == {
        name: number for number, name in enumerate(NAMES)
    }


def test_names_are_those_of_python_prctl() -> None:
    known = {name for name in prctl.ALL_CAP_NAMES if name != "last_cap"}
    assert {name: getattr(prctl, f"CAP_{name.upper()}") for name in known} == {
        name: NAMES.index(name) for name in known
    }
    assert set(NAMES) - known == {"checkpoint_restore"}


def test_this_kernel_has_every_one() -> None:
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        assert int(file.read()) >= len(NAMES) - 1


@given(of=st.integers(0, 2**64 - 1))
def test_a_set_is_its_bits(of: int) -> None:
    assert sum(1 << bit for bit in bits(of)) == of
    assert len(names(of)) == of.bit_count()
    assert mask(names(of & ALL)) == of & ALL


def test_a_capability_without_a_name_has_its_number() -> None:
    assert names(1 << 63 | 1) == ("chown", "cap_63")


@given(added=st.sets(st.sampled_from(NAMES)), removed=st.sets(st.sampled_from(NAMES)), data=st.data())
def test_a_grant_is_the_set_and_what_is_added_less_what_is_removed(
    added: set[str], removed: set[str], data: st.DataObject
) -> None:
    first = data.draw(st.sampled_from(sorted(SETS)))
    order = data.draw(st.permutations([first, *added, *(f"!{name}" for name in removed)]))
    found = grant(order, manages=False)
    assert found.granted == (SETS[first] | mask(added)) & ~mask(removed)
    assert found.named == mask(added - removed)


def test_no_set_reaches_the_host() -> None:
    # Each of these is asked for in the first user namespace: by no zone that the operator has not named it for.
    hosts = mask(
        ("sys_module", "sys_rawio", "sys_time", "syslog", "mac_admin", "mac_override", "audit_control")
    )
    assert not (capabilities.SYSTEM | capabilities.DEFAULT) & hosts
    assert capabilities.SYSTEM & capabilities.DEFAULT == capabilities.DEFAULT


def test_a_set_is_called_by_its_name() -> None:
    assert words(0) == "no capabilities"
    assert words(capabilities.SYSTEM) == "system capabilities"
    assert words(mask(("net_raw", "chown"))) == "chown, net_raw"


@pytest.mark.parametrize("word", ["", "CHOWN", "cap_chown", "last_cap"])
def test_what_is_no_name_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="x not in tuple"):
        mask((word,))
