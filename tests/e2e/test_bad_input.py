"""Broken zone files and command lines: told in a line, with the right exit code, and nothing done."""

from __future__ import annotations

import json
import os
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.e2e.instance import REPOSITORY
from tests.patience import until
from tests.requirements import cgroup2_mount

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.instance import Zonectl

CORPUS = REPOSITORY / "tests/unit/config/corpus"
BROKEN = sorted([*(CORPUS / "invalid").glob("*.toml"), *(CORPUS / "semantic").glob("*.toml")])

WHOLE = 'name = "x"\n[root]\nimage = "busybox"\n'

FAILED, USAGE, STATE, NO_ZONE, FOREGROUND = 1, 2, 3, 4, 125

LINES: list[tuple[str, int, str]] = [
    # Words of the command line itself.
    ("", USAGE, "a verb is missing"),
    ("strat box", USAGE, "did you mean start?"),
    ("nonsense", USAGE, "there is no verb 'nonsense'"),
    ("--nonsense list", USAGE, "--nonsense"),
    ("--root", USAGE, "--root"),
    ("list --nonsense", USAGE, "--nonsense"),
    ("list -o yaml", USAGE, "yaml"),
    ("list -p -q", USAGE, "-q"),
    ("list Box", USAGE, "not a zone name"),
    ("list -q nobody", NO_ZONE, "nobody: no such zone"),
    ("help nonsense", USAGE, "nonsense"),
    ("completion tcsh", USAGE, "tcsh"),
    # Verbs without what they need.
    ("create", USAGE, "FILE"),
    ("start", USAGE, "ZONE"),
    ("stop", USAGE, "ZONE"),
    ("delete", USAGE, "ZONE"),
    ("kill", USAGE, "ZONE"),
    ("cp", USAGE, "SRC"),
    ("exec", FOREGROUND, "ZONE"),
    ("exec box", FOREGROUND, "CMD is missing"),
    ("run", FOREGROUND, "FILE|IMAGE"),
    ("image", USAGE, "ACTION"),
    ("image frobnicate", USAGE, "frobnicate"),
    ("plan", USAGE, "FILE|ZONE"),
    # Values that make no sense.
    ("start --all box", USAGE, "exclude each other"),
    ("start --all --autostart", USAGE, "exclude each other"),
    ("stop -t soon box", USAGE, "soon"),
    ("stop -t -1 box", USAGE, ""),
    ("stop -t nan box", USAGE, "nan"),
    ("kill -s SIGNONSENSE box", USAGE, "not a signal"),
    ("kill -s 65 box", USAGE, "not a signal"),
    ("kill -s 0 box", USAGE, "not a signal"),
    ("logs --tail -1 box", USAGE, ""),
    ("logs --tail many box", USAGE, "many"),
    ("logs --since yesterday box", USAGE, "not a moment"),
    ("logs --since @inf box", USAGE, "not a moment"),
    ("wait --timeout forever box", USAGE, "forever"),
    ("exec -w relative box true", FOREGROUND, "not an absolute path"),
    ("exec -e =x box true", FOREGROUND, "not NAME=VALUE"),
    ("exec -e NOT_SET_HERE box true", FOREGROUND, "NOT_SET_HERE"),
    ("exec -u  box true", FOREGROUND, "it is empty"),
    ("exec -t -T box true", FOREGROUND, "-T"),
    ("run -v /x busybox", FOREGROUND, "not SOURCE:TARGET"),
    ("run -v /x:/y:wo busybox", FOREGROUND, "not SOURCE:TARGET"),
    ("run -v /x:y busybox", FOREGROUND, ""),
    ("run --name Guest busybox", FOREGROUND, "not a zone name"),
    ("run --set pids busybox", FOREGROUND, "not KEY=VALUE"),
    ("run --set no.such.key=1 busybox", FOREGROUND, "no"),
    ("run --set resources.pids=-1 busybox", FOREGROUND, "resources.pids"),
    ("run UPPER", FOREGROUND, "UPPER"),
    ("run no-such-image", FOREGROUND, "no-such-image"),
    ("run busybox:nosuchtag", FOREGROUND, "nosuchtag"),
    ("run ../../etc/passwd", FOREGROUND, ""),
    ("run /dev/null", FOREGROUND, ""),
    ("run /", FOREGROUND, "/"),
    # Zones and images that are not there, or not so.
    ("start ghost", NO_ZONE, "ghost: no such zone"),
    ("stop ghost", NO_ZONE, "ghost: no such zone"),
    ("restart ghost", NO_ZONE, "ghost: no such zone"),
    ("ready ghost", NO_ZONE, "ghost: no such zone"),
    ("pause ghost", NO_ZONE, "ghost: no such zone"),
    ("resume ghost", NO_ZONE, "ghost: no such zone"),
    ("kill ghost", NO_ZONE, "ghost: no such zone"),
    ("delete -f ghost", NO_ZONE, "ghost: no such zone"),
    ("show ghost", NO_ZONE, "ghost: no such zone"),
    ("logs ghost", NO_ZONE, "ghost: no such zone"),
    ("wait ghost", NO_ZONE, "ghost: no such zone"),
    ("plan ghost", NO_ZONE, "ghost: no such zone"),
    ("cp ghost:/x /tmp", NO_ZONE, "ghost: no such zone"),
    ("exec ghost true", FOREGROUND, "ghost: no such zone"),
    ("shell ghost", FOREGROUND, "ghost: no such zone"),
    ("stop box", STATE, "cannot stop: the zone is installed"),
    ("pause box", STATE, "cannot pause: the zone is installed"),
    ("resume box", STATE, "cannot resume: the zone is installed"),
    ("kill box", STATE, "cannot kill: the zone is installed"),
    ("wait box", STATE, "cannot wait: the zone is installed"),
    ("exec box true", FOREGROUND, "cannot exec: the zone is installed"),
    ("cp box:/x /tmp", STATE, "cannot cp: the zone is installed"),
    ("delete box", USAGE, "delete asks first"),
    ("delete --all", USAGE, "delete asks first"),
    ("start ../box", USAGE, "not a zone name"),
    ("start -- --all", USAGE, "not a zone name"),
    ("delete -f ..", USAGE, "not a zone name"),
    ("cp /etc/passwd /tmp/x", USAGE, "one of SRC and DST"),
    ("cp box:etc /tmp", USAGE, "absolute"),
    ("image remove -f ghost", FAILED, "ghost"),
    ("image remove busybox", USAGE, "remove asks first"),
    ("image remove -f busybox", FAILED, "busybox"),
    ("image import /no/such.tar x", FAILED, "/no/such.tar"),
    ("image import /etc/passwd x", FAILED, "/etc/passwd"),
    ("image import /etc UPPER", FAILED, "UPPER"),
    ("image build windows", USAGE, "windows"),
    ("create /no/such/file.toml", USAGE, "/no/such/file.toml"),
    ("create /", USAGE, "no zone file"),
    ("create /dev/null", USAGE, "/dev/null"),
    ("create --set name=y /", USAGE, "--set changes a file"),
    ("verify /no/such/file.toml", USAGE, "/no/such/file.toml"),
    ("verify /etc/passwd", USAGE, "/etc/passwd"),
    ("plan /no/such/file.toml", USAGE, "/no/such/file.toml"),
    ("plan --set a=b box", USAGE, "--set changes a file"),
    ("zoned frobnicate", USAGE, "usage"),
]


@pytest.fixture(scope="module")
def box(shared: Zonectl) -> Zonectl:
    """An instance with one zone that is installed."""
    shared.define("box")
    shared("zoned", "stop", code=None)
    return shared


def state(z: Zonectl) -> list[str]:
    """What a mistake must not change, as far as it is cheap to look at."""
    mount = cgroup2_mount()
    assert mount is not None
    zones = [str(path) for path in sorted((z.root / "zones").rglob("*"))]
    paths = [folder / f"{name}.json" for folder in (z.root, z.run_root) for name in ("leases", "ids")]
    held = [
        f"{each}" for path in paths if path.exists() for each in json.loads(path.read_text())["held"].items()
    ]
    groups = sorted(
        path.name for path in mount.glob(f"zonectl-{z.mark}/*") if path.is_dir() and path.name != "zoned"
    )
    images = sorted(os.listdir(z.root / "images/layers"))
    return [*zones, *held, *groups, *images]


def check(z: Zonectl, words: list[str], code: int, *, told: str, most: int = 2) -> None:
    before = state(z)
    done = z(*words, code=code)
    assert done.out == ""
    assert told in done.err
    assert 1 <= len(done.err.splitlines()) <= most, done.err
    assert state(z) == before


@pytest.mark.parametrize(("line", "code", "told"), LINES, ids=[line or "nothing" for line, _, _ in LINES])
def test_broken_command_lines(box: Zonectl, line: str, code: int, told: str) -> None:
    check(box, line.split(" ") if line else [], code, told=told)


@pytest.mark.parametrize("line", [line for line, _, _ in LINES[::4]])
def test_the_cold_path_says_the_same(box: Zonectl, line: str) -> None:
    words = line.split(" ") if line else []
    warm, cold = box(*words, code=None), box.cold(*words, code=None)
    if "nobody would watch" not in cold.err:
        assert (cold.code, cold.out, cold.err) == (warm.code, warm.out, warm.err)


@pytest.mark.parametrize("path", BROKEN, ids=[path.stem for path in BROKEN])
def test_broken_zone_files(box: Zonectl, path: Path) -> None:
    """Every problem at once, as `FILE:LINE: KEY: what`, the same from both verbs."""
    text = path.read_text(encoding="utf-8")
    expected = [line.removeprefix("#> ") for line in text.splitlines() if line.startswith("#> ")]
    copy = box.folder / "zone.toml"
    copy.write_text(text, encoding="utf-8")
    before = state(box)
    for verb, code in (("create", USAGE), ("run", FOREGROUND)):
        done = box(verb, "zone.toml", code=code, cwd=box.folder)
        assert done.out == ""
        # Folders that paths are resolved against are another's here.
        assert len(done.err.splitlines()) == len(expected), done.err
        assert [line.split(" ")[0] for line in done.err.splitlines()] == [
            line.split(" ")[0] for line in expected
        ]
    assert state(box) == before


@pytest.mark.parametrize(
    "raw",
    [b"\xff\xfe", b'name = "x"\0', b"\xef\xbb\xbfname = 1", b'name = "x\r"', b"[" * 5000, b"a." * 5000 + b"b=1",
     b"name = " + b"9" * 5000, b"x" * 3_000_000, b""],
    ids=["no text", "nul", "mark", "return", "brackets", "dots", "digits", "long", "empty"],
)  # fmt: skip
def test_files_that_are_hardly_text(box: Zonectl, raw: bytes) -> None:
    path = box.folder / "raw.toml"
    path.write_bytes(raw)
    check(box, ["create", str(path)], USAGE, told="raw.toml", most=3)


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ('root = { path = "/no/such/folder" }', FAILED, "/no/such/folder"),
        ('root = { tar = "/no/such.tar" }', FAILED, "/no/such.tar"),
        ('root = { tar = "/etc/passwd" }', FAILED, "/etc/passwd"),
        ('root = { image = "ghost:1" }', FAILED, "ghost:1"),
        ('root = { image = "busybox" }\ndepends_on = ["ghost"]', USAGE, "ghost"),
        ('root = { image = "busybox" }\ndepends_on = ["x"]', USAGE, "depends_on"),
    ],
)
def test_good_files_for_which_something_is_missing(box: Zonectl, text: str, code: int, told: str) -> None:
    path = box.folder / "lacking.toml"
    path.write_text(f'name = "x"\n{text}\n', encoding="utf-8")
    check(box, ["create", str(path)], code, told=told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[mount]]\nsource = "/no/such"\ntarget = "/mnt"\n', "/no/such"),
        ('[[mount]]\nsource = "/etc/passwd"\ntarget = "/mnt"\n', "/mnt"),
    ],
)
def test_what_only_a_start_finds_out(box: Zonectl, text: str, told: str) -> None:
    path = box.write("late", f"{WHOLE}{text}")
    done = box("run", path, "--", "true", code=None)
    assert done.code == FOREGROUND, done.err
    assert told in done.err
    assert len(done.err.splitlines()) <= 2


def test_two_files_for_one_zone_and_circles(box: Zonectl) -> None:
    folder = box.folder / "several"
    folder.mkdir()
    for name, zone, needs in (("a", "p", '"q"'), ("b", "q", '"p"')):
        (folder / f"{name}.toml").write_text(
            f'name = "{zone}"\ndepends_on = [{needs}]\n[root]\nimage = "busybox"\n', encoding="utf-8"
        )
    check(box, ["create", str(folder)], USAGE, told="circle")
    check(box, ["create", str(folder / "a.toml")], USAGE, told="q")
    (folder / "b.toml").write_text('name = "p"\n[root]\nimage = "busybox"\n', encoding="utf-8")
    (folder / "a.toml").write_text('name = "p"\n[root]\nimage = "busybox"\n', encoding="utf-8")
    check(box, ["create", str(folder)], USAGE, told="p")


def test_names_in_errors_cannot_drive_a_terminal(box: Zonectl) -> None:
    for words in (["start", "\x1b[2J"], ["\x1b]0;x\x07"], ["create", "/tmp/\x1b[31m.toml"], ["list", "a\nb"]):
        done = box(*words, code=None)
        assert done.code == USAGE
        assert "\x1b" not in done.err
        assert "\x07" not in done.err
        assert len(done.err.splitlines()) <= 2


@pytest.mark.fault(
    "a zone's record is empty, cut off, without keys, newer, of another kind",
    "that zone is `incomplete` with the reason; all others are usable; `delete -f` clears it",
)
def test_a_damaged_record_hides_no_other_zone(z: Zonectl) -> None:
    z.define("good")
    z.define("bad")
    record = z.root / "zones/bad/record.json"
    for broken in ("", "{", '{"schema_version": 1}', '{"schema_version": 99}', "[]"):
        record.write_text(broken)
        assert z.list()["good"]["state"] == "installed"
        assert z.list()["bad"]["state"] == "incomplete"
        done = z("start", "bad", "good", code=FAILED)
        assert len(done.err.splitlines()) <= 2, done.err
        assert z.state("good") == "running"
        z("stop", "good")
        assert "damaged" in z("show", "bad").out
    z("delete", "-f", "bad")
    assert set(z.list()) == {"good"}


@pytest.mark.fault(
    "the note of a zone's last end is empty or nonsense, as a power cut leaves what was not synced",
    "its end is `unknown`; it is listed with all others, and starts",
)
def test_a_last_end_that_makes_no_sense(z: Zonectl) -> None:
    z.define("good")
    z.define("torn", "exit 3")
    z("start", "torn")
    note = z.root / "zones/torn/last.json"
    for broken in ("", "\0" * 100, '{"schema_version": 99}'):
        until(lambda: "status 3" in z("show", "torn").out)
        note.write_text(broken)
        assert z.list().keys() == {"good", "torn"}
        assert "unknown" in z("show", "torn").out
        z("start", "torn")


@pytest.mark.fault(
    "the note of a running zone's init is empty or nonsense",
    "that zone is `incomplete` with the reason; all others are usable; `delete -f` ends it and leaves nothing",
)
def test_a_note_of_an_init_that_makes_no_sense(z: Zonectl) -> None:
    z.define("good")
    z.define("bad")
    z("start", "good", "bad")
    init = z.list()["bad"]["pid"]
    for broken in ("", "[]", '{"schema_version": 99}'):
        (z.run_root / "zones/bad/live.json").write_text(broken)
        z("zoned", "stop")
        assert z.list()["bad"]["state"] == "incomplete"
        assert "live.json" in z("show", "bad").out
        for words, code in ((("start", "bad"), STATE), (("exec", "bad", "true"), FOREGROUND)):
            assert len(z(*words, code=code).err.splitlines()) <= 2
        assert z.exec("good", "echo", "well").out == "well\n"
    z("stop", "good")
    z("start", "good")
    assert os.path.exists(f"/proc/{init}")
    z("delete", "-f", "bad")
    until(lambda: not os.path.exists(f"/proc/{init}"))
    assert set(z.list()) == {"good"}
    # zoned tells its log that it could not settle that zone, and nothing else.
    assert all("live.json is damaged" in line for line in z.complaints().splitlines())
    (z.run_root / "zoned.log").write_text("")


def test_the_corpus_is_what_it_says() -> None:
    for path in CORPUS.glob("valid/*.toml"):
        tomllib.loads(path.read_text(encoding="utf-8"))
    assert len(LINES) + len(BROKEN) >= 60
