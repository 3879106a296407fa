"""Users and groups of a hostile root: parsers that never fail, bounds, strict ids."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.errors import ZonectlError
from zonectl.model.ids import MAX_ID
from zonectl.security.accounts import MAX_FILE_BYTES, MAX_GROUPS, look_up, parse_group, parse_passwd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Root = Callable[..., int]

PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/srv/web:\n5:x:77:77::/five:/bin/sh\n"
GROUP = "root:x:0:\nweb:x:33:\nadm:x:4:web,root\nlog:x:9:web\n4:x:88:\n"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    """A root with the given passwd and group, as a descriptor."""
    opened = []

    def made(passwd: str | bytes | None = PASSWD, group: str | bytes | None = GROUP) -> int:
        (tmp_path / "etc").mkdir()
        for name, content in (("passwd", passwd), ("group", group)):
            if content is not None:
                raw = content if isinstance(content, bytes) else content.encode()
                (tmp_path / "etc" / name).write_bytes(raw)
        opened.append(os.open(tmp_path, os.O_PATH | os.O_DIRECTORY))
        return opened[-1]

    yield made
    for fd in opened:
        os.close(fd)


near_passwd = st.lists(
    st.text("abc:0123456789x-+ \0\r\x0b\u2028é\n", max_size=40)
    | st.just("root:x:0:0:root:/root:/bin/sh")
    | st.just("web:x:4294967296:0::/:")
).map("\n".join)


@given(text=st.text() | near_passwd)
def test_no_text_upsets_the_parsers(text: str) -> None:
    for account in parse_passwd(text):
        assert 0 <= account.uid <= MAX_ID
        assert 0 <= account.gid <= MAX_ID
        assert account.name
        assert not {"\n", "\0", ":"} & set(account.name + account.home + account.shell)
    for name, gid, members in parse_group(text):
        assert name
        assert 0 <= gid <= MAX_ID
        assert all(members)
        assert not {"\n", "\0", ":"} & set("".join((name, *members)))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "#comment",
        "web",
        "web:x:33:33:::/bin/sh:",
        ":x:0:0:::",
        "web:x:-1:33::/:",
        "web:x:+33:33::/:",
        "web:x: 33:33::/:",
        "web:x:0x21:33::/:",
        "web:x:4294967295:33::/:",
        "web:x:4294967296:33::/:",
        "web:x:٣٣:33::/:",
        "web:x:33:33::/\0etc:",
        "+@netgroup::::::",
    ],
)
def test_what_is_no_line_of_passwd_is_passed_over(line: str) -> None:
    assert [account.name for account in parse_passwd(f"{line}\nroot:x:0:0::/:\n")] == ["root"]


def test_only_a_line_feed_ends_a_line() -> None:
    # str.splitlines would see a second line here, of a user 0.
    (only,) = parse_passwd("web:x:33:33:a\u2028toor\x0b\x1c\x85:/srv:/bin/sh")
    assert (only.name, only.uid) == ("web", 33)
    assert parse_passwd("x\u2028toor:x:0:0::/:")[0].name == "x\u2028toor"


def test_this_hosts_passwd_is_read_as_the_c_library_reads_it() -> None:
    with open("/etc/passwd", encoding="utf-8", errors="replace") as file:
        ours = {
            (account.name, account.uid, account.gid, account.home) for account in parse_passwd(file.read())
        }
    assert ours == {(e.pw_name, e.pw_uid, e.pw_gid, e.pw_dir or "/") for e in pwd.getpwall()}


def test_a_name_is_found_with_its_groups(root: Root) -> None:
    account = look_up("web", root())
    assert (account.uid, account.gid, account.groups) == (33, 33, (4, 9))
    assert (account.home, account.shell) == ("/srv/web", "")


def test_a_group_that_is_asked_for_is_the_only_one(root: Root) -> None:
    account = look_up("web:adm", root())
    assert (account.uid, account.gid, account.groups) == (33, 4, ())


def test_a_number_is_an_id_and_never_a_name(root: Root) -> None:
    fd = root()
    assert look_up("5", fd).uid == 5
    assert look_up("5:4", fd).gid == 4


def test_a_number_that_passwd_knows_gets_its_groups(root: Root) -> None:
    account = look_up("33", root())
    assert (account.name, account.gid, account.groups) == ("web", 33, (4, 9))


def test_a_number_that_passwd_does_not_know_has_group_0_and_no_others(root: Root) -> None:
    account = look_up("1000", root())
    assert (account.uid, account.gid, account.groups, account.home) == (1000, 0, (), "/")


def test_a_root_without_passwd_has_root_alone(root: Root) -> None:
    fd = root(None, None)
    assert (look_up("root", fd).uid, look_up("root", fd).home) == (0, "/root")
    assert look_up("7:8", fd).gid == 8
    with pytest.raises(ZonectlError, match="no user 'web'"):
        look_up("web", fd)


@pytest.mark.parametrize(
    "text",
    [
        "4294967295",
        "4294967296",
        "00000000000",
        "1e3",
        "0x0",
        "1 ",
        "²",
        "33:4294967296",
        "33:9x",
        "nobody",
        "web:nogroup",
        ":0",
        "-1",
        "+0",
        "",
    ],
)
def test_what_is_neither_an_id_nor_a_name_is_refused(root: Root, text: str) -> None:
    with pytest.raises(ZonectlError):
        look_up(text, root())


def test_groups_are_bounded(root: Root) -> None:
    many = "".join(f"g{number}:x:{number}:web\n" for number in range(100, 1100))
    assert len(look_up("web", root(group=many)).groups) == MAX_GROUPS


def test_a_file_is_read_up_to_its_bound(root: Root) -> None:
    padding = "#" * 99 + "\n"
    huge = padding * (MAX_FILE_BYTES // len(padding) + 10) + PASSWD
    with pytest.raises(ZonectlError, match="no user 'web'"):
        look_up("web", root(huge))


def test_bytes_that_are_not_utf_8_spoil_their_own_line_only(root: Root) -> None:
    assert look_up("web", root(b"\xff\xfe:x:1:1:::\n" + PASSWD.encode())).uid == 33


@pytest.mark.parametrize("kind", ["folder", "fifo", "dangling", "loop", "outside"])
def test_what_is_not_a_file_below_the_root_is_no_file(root: Root, tmp_path: Path, kind: str) -> None:
    fd = root(None, None)
    place = tmp_path / "etc" / "passwd"
    match kind:
        case "folder":
            place.mkdir()
        case "fifo":
            os.mkfifo(place)
        case "dangling":
            place.symlink_to("/nowhere")
        case "loop":
            place.symlink_to("passwd")
        case "outside":
            canary = tmp_path.parent / f"{tmp_path.name}-passwd"
            canary.write_text("web:x:0:0::/:\n")
            place.symlink_to(f"../../{canary.name}")
    before = os.listdir("/proc/self/fd")
    with pytest.raises(ZonectlError, match="no user 'web'"):
        look_up("web", fd)
    assert os.listdir("/proc/self/fd") == before


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A root that stays as it is."""
    folder = tmp_path_factory.mktemp("accounts")
    (folder / "etc").mkdir()
    (folder / "etc/passwd").write_text(PASSWD)
    (folder / "etc/group").write_text(GROUP)
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


part = (
    st.text(max_size=12)
    | st.from_regex(r"[-+ ]?0?x?[0-9]{0,11}[ a]?", fullmatch=True)
    | st.sampled_from(
        ["root", "web", "adm", "5", "4", "4294967294", "4294967295", "4294967296", "-0", "\u0663"]
    )
)


@given(user=part, group=st.none() | part)
def test_an_id_is_a_strict_number_and_a_name_stands_in_the_file(
    fixed: int, user: str, group: str | None
) -> None:
    text = user if group is None else f"{user}:{group}"
    try:
        found = look_up(text, fixed)
    except ZonectlError:
        return
    asked_user, _, asked_group = text.partition(":")
    for asked, number in ((asked_user, found.uid), (asked_group, found.gid)):
        if asked and asked[0].isdigit():
            assert asked.isascii()
            assert asked.isdecimal()
            assert int(asked) == number <= MAX_ID
    if not asked_user[0].isdigit():
        assert found.name == asked_user
        assert asked_user in {"root", "web"}
    if asked_group:
        assert found.groups == ()


words = st.text("abcz09._- é", min_size=1, max_size=8)
ids = st.integers(0, MAX_ID)


@given(entries=st.lists(st.tuples(words, ids, ids, words, words), max_size=8))
def test_accounts_are_read_as_they_are_written(entries: list[tuple[str, int, int, str, str]]) -> None:
    lines = "".join(f"{name}:x:{uid}:{gid}::{home}:{shell}\n" for name, uid, gid, home, shell in entries)
    read = [(each.name, each.uid, each.gid, each.home, each.shell) for each in parse_passwd(lines)]
    assert read == entries


@given(entries=st.lists(st.tuples(words, ids, st.lists(words, max_size=4)), max_size=8))
def test_groups_are_read_as_they_are_written(entries: list[tuple[str, int, list[str]]]) -> None:
    lines = "".join(f"{name}:x:{gid}:{','.join(members)}\n" for name, gid, members in entries)
    assert [(name, gid, list(members)) for name, gid, members in parse_group(lines)] == entries


@given(noise=st.binary(max_size=200))
def test_no_bytes_upset_a_look_up(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    folder = tmp_path_factory.mktemp("noise")
    (folder / "etc").mkdir()
    for name in ("passwd", "group"):
        (folder / "etc" / name).write_bytes(noise + b"\nweb:x:33:33::/:\n")
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        assert look_up("33", fd).uid == 33
    finally:
        os.close(fd)
