"""What a zone, or a file about it, says, and what zonectl makes of it: never a command, a line, or a terminal's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.instance import Done
    from tests.hostile.scene import Scene

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202etxt.exe\u2028"
HARMFUL = ("\x1b", "\x07", "\x9b", "\u202e", "\u2028")


def is_harmless(done: Done) -> bool:
    text = done.out + done.err
    return not any(char in text for char in HARMFUL) and all(
        char.isprintable() or char in "\n\t" for char in text
    )


@pytest.fixture(scope="module")
def zone(scene: Scene) -> Iterator[str]:
    """A zone whose files say what they should not."""
    text = (
        'name = "injector"\n'
        f"command = ['/bin/sh', '-c', \"printf '%b' {shell_bytes(ESCAPES)}; echo; exec sleep 1000000\"]\n"
        f'[root]\npath = "{scene.folder}/root-of-zones"\n'
    )
    scene.z("create", scene.z.write("injector", text))
    scene.z("start", "injector")
    until(lambda: "owned" in scene.z("logs", "injector").out)
    yield "injector"
    scene.z("delete", "-f", "injector")


def shell_bytes(text: str) -> str:
    """As printf(1) in sh takes it inside of a TOML string."""
    return "".join(f"\\\\\\\\0{byte:o}" for byte in text.encode())


def put(scene: Scene, zone: str, path: str, content: str) -> None:
    scene.z.exec(zone, "sh", "-c", f"cat > {path}", input=content.encode())


def test_what_a_zone_has_written_obeys_no_terminal(scene: Scene, zone: str) -> None:
    with scene.z.terminal("logs", zone) as terminal:
        shown = terminal.rest()
    assert "owned" in shown
    assert not any(char in shown.replace("\x1b[?2004l", "") for char in HARMFUL), repr(shown)


@pytest.mark.parametrize(
    "key",
    [
        'name="a\\nb"',
        'name="../up"',
        'hostname="web\\n10.0.0.1 bank"',
        'hostname="web 10.0.0.1"',
        'hostname="$(id)"',
        'labels={ note = "\\u001b[2J" }',
        'env={ "A\\nB" = "x" }',
        'env={ A = "x\\u0000y" }',
        'user="root:root:0"',
        'user="0x0"',
        'user="4294967296"',
        'user="-1"',
        'workdir="/srv\\nup"',
        'command=["/bin/sh\\u0000"]',
        'network.bridge="br0; id"',
        'network.dns=["9.9.9.9\\noptions debug"]',
    ],
)
def test_a_zone_file_that_would_inject_is_refused(scene: Scene, key: str) -> None:
    done = scene.z("create", "--set", key, scene.file("default"), code=2)
    assert is_harmless(done)
    assert not [name for name in scene.z.list() if "a" in name and "\n" in name]


def test_lines_in_a_variable_stay_in_it(scene: Scene, zone: str) -> None:
    value = "one\ntwo=three\n\x1b[2J"
    seen = scene.z.exec(zone, "env", "-0", options=("-e", f"INJECTED={value}"), code=None)
    if seen.code:  # busybox of before 1.33
        seen = scene.z.exec(zone, "cat", "/proc/self/environ", options=("-e", f"INJECTED={value}"))
    variables = dict(line.split("=", 1) for line in seen.out.split("\0") if line)
    assert variables["INJECTED"] == value
    assert "two" not in variables


PASSWD = {
    "a line that ends in another": ("evil\x00:x:0:0::/:/bin/sh", "evil"),
    "an id with a sign": ("evil:x:+0:0::/:/bin/sh", "evil"),
    "an id with a space": ("evil:x: 0:0::/:/bin/sh", "evil"),
    "an id beyond 32 bits": ("evil:x:4294967296:4294967296::/:/bin/sh", "evil"),
    "an id below zero": ("evil:x:-1:-1::/:/bin/sh", "evil"),
    "an id in hexadecimal": ("evil:x:0x0:0x0::/:/bin/sh", "evil"),
    "an id in digits of others": ("evil:x:\u0660:\u0660::/:/bin/sh", "evil"),
    "too few fields": ("evil:x:0:0", "evil"),
    "too many fields": ("evil:x:0:0::/:/bin/sh:x", "evil"),
    "a carriage return for a line": ("nobody:x:1:1::/:/bin/sh\revil:x:0:0::/:/bin/sh", "evil"),
}


@pytest.mark.parametrize("case", PASSWD)
def test_a_users_line_that_is_none_makes_nobody(scene: Scene, zone: str, case: str) -> None:
    content, user = PASSWD[case]
    put(scene, zone, "/etc/passwd", content + "\n")
    done = scene.z("exec", "-u", user, zone, "--", "id", "-u", code=125)
    assert done.out == ""
    assert is_harmless(done)


def test_a_number_is_never_a_name(scene: Scene, zone: str) -> None:
    put(scene, zone, "/etc/passwd", "1234:x:0:0::/:/bin/sh\n1234x:x:0:0::/:/bin/sh\n")
    assert scene.z("exec", "-u", "1234", zone, "--", "id", "-u").out == "1234\n"
    scene.z("exec", "-u", "1234x", zone, "--", "id", "-u", code=125)


def test_a_home_and_a_shell_of_escapes_are_told_harmlessly(scene: Scene, zone: str) -> None:
    put(scene, zone, "/etc/passwd", f"evil:x:1000:1000::/{ESCAPES}:/bin/{ESCAPES}\n")
    for words in (("exec", "-u", "evil", zone), ("exec", "-u", "evil", zone, "--", f"/bin/{ESCAPES}")):
        done = scene.z(*words, code=None)
        assert done.code in {125, 126, 127, 2}, done
        assert is_harmless(done), repr(done.err)


def test_names_of_groups_and_files_are_told_harmlessly(scene: Scene, zone: str) -> None:
    scene.z.exec(zone, "mkdir", "-p", f"/sys/fs/cgroup/{ESCAPES}", f"/tmp/{ESCAPES}")
    scene.z.exec(zone, "mkfifo", f"/tmp/{ESCAPES}/{ESCAPES}")
    target = scene.folder / "copied"
    for words in (
        ("show", zone),
        ("list", "-v"),
        ("show", "--json", zone),
        ("cp", f"{zone}:/tmp", str(target)),
    ):
        done = scene.z(*words, code=None)
        assert is_harmless(done), (words, repr(done.out + done.err))
    scene.z.exec(zone, "rmdir", f"/sys/fs/cgroup/{ESCAPES}")


def test_the_hosts_file_says_the_zones_name_and_no_more(scene: Scene, zone: str) -> None:
    lines = scene.z.exec(zone, "cat", "/etc/hosts").out.splitlines()
    assert all(
        line.split()[1:]
        in (
            ["localhost"],
            ["injector"],
            ["localhost", "injector"],
            ["localhost", "ip6-localhost"],
            ["localhost", "ip6-localhost", "ip6-loopback"],
        )
        for line in lines
        if line
    ), lines


def test_what_is_shown_for_programs_is_json(scene: Scene, zone: str) -> None:
    scene.z("set", zone, "labels.note=x", code=None)
    shown = json.loads(scene.z("show", "--json", zone).out)
    assert shown["name"] == zone
    assert not Path(scene.folder, "owned").exists()
