from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.config import load, load_directory, parse
from zonectl.errors import ConfigError
from zonectl.model.config import NetworkMode, ZoneConfig

if TYPE_CHECKING:
    from pathlib import Path

WEB = 'name = "web"\n[root]\nimage = "busybox"\n'


def read(text: str, *overrides: str) -> ZoneConfig:
    return parse(text, file="zone.toml", folder="/srv/zones", overrides=overrides)


def refused(text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, *overrides)
    return [str(problem) for problem in caught.value.problems]


def test_relative_paths_belong_to_the_folder_of_the_file() -> None:
    text = 'name = "web"\nroot.tar = "./roots//web.tar"\nmount = [{ source = "www/", target = "/w" }]\n'
    config = read(text)
    assert config.root.tar == "/srv/zones/roots/web.tar"
    assert config.mounts[0].source == "/srv/zones/www"


def test_the_hostname_is_the_name_unless_given() -> None:
    assert read(WEB).hostname == "web"
    assert read(WEB, "hostname=other").hostname == "other"
    assert read(WEB, "name=a--").hostname == "a"
    assert read(WEB, "namespaces.uts=host").hostname == ""


@pytest.mark.parametrize("override", ["namespaces.net=host", "network.mode=host"])
def test_host_networking_is_said_once(override: str) -> None:
    config = read(WEB, override)
    assert config.network.mode is NetworkMode.HOST
    assert config.namespaces.net is False


def test_no_network_is_a_namespace_of_its_own() -> None:
    assert read(WEB, "network.mode=none").namespaces.net is True


def test_paths_are_stored_in_normal_form() -> None:
    assert read(WEB, "workdir=/srv//./www/").workdir == "/srv/www"
    assert read(WEB, "workdir=//").workdir == "/"


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("resources.memory=64MiB", ("resources", "memory_bytes"), 64 * 2**20),
        ("resources.memory=67108864", ("resources", "memory_bytes"), 64 * 2**20),
        ("resources.cpus = 2", ("resources", "cpus"), 2.0),
        ("autostart=true", ("autostart",), True),
        ("stop_timeout=1m", ("stop_timeout_s",), 60.0),
        ('stop_timeout="90s"', ("stop_timeout_s",), 90.0),
        ('command=["/bin/sh", "-c", "a = b"]', ("command",), ("/bin/sh", "-c", "a = b")),
        ("user=1000", ("user",), "1000"),
        ("env.PORT=8080", ("env",), (("PORT", "8080"),)),
        ("env.COLOUR=#fff", ("env",), (("COLOUR", "#fff"),)),
        ("env.EMPTY=", ("env",), (("EMPTY", ""),)),
        ("env.\"a.b\"='x'", ("env",), (("a.b", "x"),)),
        ("env.TWO=1\nthree = 3", ("env",), (("TWO", "1\nthree = 3"),)),
        ("resources.hugetlb.2MB=64MiB", ("resources", "hugetlb"), (("2MB", 64 * 2**20),)),
        ("labels.when=1979-05-27", ("labels",), (("when", "1979-05-27"),)),
    ],
)
def test_overrides(override: str, path: tuple[str, ...], value: object) -> None:
    found: Any = read(WEB, override)
    for name in path:
        found = getattr(found, name)
    assert found == value


def test_an_override_reaches_elements() -> None:
    text = WEB + '[[mount]]\nsource = "/a"\ntarget = "/b"\n'
    assert read(text, "mount[0].readonly=true").mounts[0].readonly is True
    assert read(text, "mount=[]").mounts == ()


def test_later_overrides_win() -> None:
    assert read(WEB, "hostname=a", "hostname=b").hostname == "b"


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("autostart", "--set: 'autostart' is not KEY=VALUE"),
        ("=1", "--set: '' is not a key: write it as resources.memory or mount[0].target"),
        ("a..b=1", "--set: a..b: 'a..b' is not a key: write it as resources.memory or mount[0].target"),
        ("a.=1", "--set: a.: 'a.' is not a key: write it as resources.memory or mount[0].target"),
        ("name.x=1", "--set: name.x: 'x' cannot be in a string"),
        ("name[0]=1", "--set: name[0]: '0' cannot be in a string"),
        ("command.x=1", "--set: command: must be an array, not a table"),
        ("mount[0].target=/x", "--set: mount[0].target: '0' cannot be in a table"),
        ("resources.cpus=0", "--set: resources.cpus: must be from 0.01 to 8192, not 0"),
        ("resources.memry=1GiB", "--set: resources.memry: unknown key (did you mean memory?)"),
        ("autostart=yes", "--set: autostart: must be true or false, not a string"),
    ],
)
def test_broken_overrides(override: str, problem: str) -> None:
    assert problem in refused(WEB, override) or refused(WEB, override) == [problem]


def test_a_missing_element_is_not_made() -> None:
    text = WEB + '[[mount]]\nsource = "/a"\ntarget = "/b"\n'
    assert refused(text, "mount[1].target=/x") == ["--set: mount[1].target: there is no element [1] among 1"]


def test_a_file_may_contradict_an_override() -> None:
    text = WEB + '[resources]\nmemory_high = "64MiB"\n'
    assert refused(text, "resources.memory=32MiB") == [
        "zone.toml:5: resources.memory_high: 64MiB is more than memory, 32MiB"
    ]


def test_all_problems_come_in_the_order_of_the_file() -> None:
    text = '\nrestart = "maybe"\nname = "Web"\n[root]\n[network]\nmode = 1\n'
    assert [line.split(": ")[:2] for line in refused(text)] == [
        ["zone.toml:2", "restart"],
        ["zone.toml:3", "name"],
        ["zone.toml:4", "root"],
        ["zone.toml:6", "network.mode"],
    ]


def test_a_value_that_is_wrong_is_judged_once() -> None:
    """No second problem follows from the default that stands in for a wrong value."""
    text = WEB + '[network]\nsubnet = "nonsense"\naddress = "192.168.0.9/24"\ngateway = "192.168.0.1"\n'
    assert len(refused(text)) == 1


def test_deep_nesting_is_a_problem_and_no_crash() -> None:
    assert refused("x = " + "[" * 100_000) == ["zone.toml: arrays or tables are nested too deeply"]


def test_huge_integers_are_a_problem_and_no_crash() -> None:
    assert len(refused(WEB + f"[resources]\npids = {'9' * 5000}\n")) == 1
    assert len(refused(WEB + f"[resources]\nmemory = {'9' * 400}\n")) == 1


@given(st.text(max_size=60) | st.lists(st.sampled_from([*'[]{}=".#\n', "name", "root", "1"])).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        read(text)


def test_load(tmp_path: Path) -> None:
    file = tmp_path / "web.toml"
    file.write_text(WEB)
    loaded = load(str(file))
    assert (loaded.config.name, loaded.text, loaded.path) == ("web", WEB, str(file))


def test_load_names_the_file_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web.toml").write_text('name = "Web"\nroot.path = "r"\n')
    with pytest.raises(ConfigError, match=r"^web\.toml:1: name: "):
        load("web.toml")
    (tmp_path / "web.toml").write_text('name = "web"\nroot.path = "r"\n')
    assert load("web.toml").config.root.path == str(tmp_path / "r")


def test_load_reads_an_anonymous_pipe() -> None:
    """`zonectl create <(…)` of a shell."""
    reader, writer = os.pipe()

    def write() -> None:
        with open(writer, "w", encoding="utf-8") as stream:
            time.sleep(0.05)
            stream.write('name = "web"\nroot.image = "a"\n')

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert load(f"/dev/fd/{reader}").config.name == "web"
    finally:
        thread.join()
        os.close(reader)


def test_what_would_be_waited_for_is_refused(tmp_path: Path) -> None:
    """A FIFO may have no writer, ever; of a device there is no end."""
    (tmp_path / "folder.toml").mkdir()
    os.mkfifo(tmp_path / "fifo.toml")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "sock.toml"))
    for path in (tmp_path / "fifo.toml", "/dev/zero"):
        with pytest.raises(ConfigError, match=r"not a file$"):
            load(str(path))
    with pytest.raises(ConfigError, match="Is a directory"):
        load(str(tmp_path / "folder.toml"))
    with pytest.raises(ConfigError, match="No such device"):
        load(str(tmp_path / "sock.toml"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'name = "web"\n# \xff\n', ":2: not UTF-8: byte 0xff"),
        (b"#" * (1024 * 1024 + 1), ": larger than 1048576 bytes"),
        (None, ": No such file or directory"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, problem: str) -> None:
    file = tmp_path / "web.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(str(file))
    assert str(caught.value) == f"{file}{problem}"


def test_load_a_folder(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.toml").write_text(WEB.replace("web", name))
    (tmp_path / ".hidden.toml").write_text("broken")
    (tmp_path / "notes.txt").write_text("broken")
    assert [loaded.config.name for loaded in load_directory(str(tmp_path))] == ["a", "b"]


def test_a_folder_tells_the_problems_of_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(WEB)
    (tmp_path / "b.toml").write_text("[root]\nhost = 1\n")
    (tmp_path / "c.toml").write_text("x = \n")
    (tmp_path / "d.toml").write_text("\n" + WEB)
    with pytest.raises(ConfigError) as caught:
        load_directory(str(tmp_path))
    assert [str(problem).removeprefix(str(tmp_path)) for problem in caught.value.problems] == [
        "/b.toml: name: is missing: the zone's name",
        "/b.toml:2: root.host: must be true or false, not an integer",
        "/c.toml:1: not TOML: invalid value, at column 5",
        f"/d.toml:2: name: web is the zone of {tmp_path}/a.toml already",
    ]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere: No such file or directory"):
        load_directory(str(tmp_path / "nowhere"))
