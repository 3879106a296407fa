"""Wrong command lines: one line that says what is wrong, the status of a mistake, nothing on standard output."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.cli.conftest import Outcome

WRONG = [
    ("", "a verb is missing"),
    ("--no-daemon", "a verb is missing"),
    ("--root", "--root: expected one argument"),
    ("--wrong list", "there is no option '--wrong'"),
    ("--versio", "there is no option '--versio' (did you mean --version?)"),
    ("--roo /x list", "there is no option '--roo' (did you mean --root?)"),
    ("strat", "there is no verb 'strat' (did you mean start?)"),
    ("lsit", "there is no verb 'lsit' (did you mean list?)"),
    ("delet web", "there is no verb 'delet' (did you mean delete?)"),
    ("xyzzy", "there is no verb 'xyzzy'"),
    ("'\x1b[31m'", "there is no verb '\\x1b[31m'"),
    ("'start\nstop'", "there is no verb 'start\\nstop'"),
    ("LIST", "there is no verb 'LIST'"),
    ("verify", "verify: FILE is missing"),
    ("verify -x a.toml", "verify: there is no option '-x'"),
    ("verify --quite a.toml", "verify: there is no option '--quite' (did you mean --quiet?)"),
    ("schema x", "schema: 'x' is one argument too many"),
    ("plan", "plan: FILE|ZONE is missing"),
    ("plan ''", "plan: FILE|ZONE: it is empty"),
    ("plan a.toml b.toml", "plan: 'b.toml' is one argument too many"),
    ("plan Web", "plan: 'Web' is neither a file nor the name of a zone"),
    ("plan --set a=1 web", "plan: --set changes a file, and this is a zone"),
    ("plan --set a a.toml", "plan: --set: 'a' is not KEY=VALUE"),
    ("plan --jsn web", "plan: there is no option '--jsn' (did you mean --json?)"),
    ("create", "create: FILE|DIR is missing"),
    ("create --set", "create: --set: expected one argument"),
    ("create --set x a.toml", "create: --set: 'x' is not KEY=VALUE"),
    ("delete", "delete: ZONE or --all is missing"),
    ("delete --all web", "delete: --all and ZONE exclude each other"),
    ("delete Web", "delete: ZONE: 'Web' is not a zone name"),
    ("delete ../web", "delete: ZONE: '../web' is not a zone name"),
    ("delete -F web", "delete: there is no option '-F'"),
    ("start", "start: ZONE or --all or --autostart is missing"),
    ("start --all --autostart", "start: --all and --autostart exclude each other"),
    ("start --autostart web", "start: --autostart and ZONE exclude each other"),
    ("start we_b", "start: ZONE: 'we_b' is not a zone name"),
    ("start ''", "start: ZONE: '' is not a zone name"),
    ("ready", "ready: ZONE is missing"),
    ("stop", "stop: ZONE or --all is missing"),
    ("stop --all web", "stop: --all and ZONE exclude each other"),
    ("stop -t web", "stop: -t/--timeout: not a duration: 'web'"),
    ("stop -t -1 web", "stop: -t/--timeout: not a time span: '-1'"),
    ("stop -t nan web", "stop: -t/--timeout: not a time span: 'nan'"),
    ("kill", "kill: ZONE is missing"),
    ("kill -s NOSUCH web", "kill: -s/--signal: not a signal: 'NOSUCH'"),
    ("kill -s 0 web", "kill: -s/--signal: not a signal: '0'"),
    ("kill -s 65 web", "kill: -s/--signal: not a signal: '65'"),
    ("kill -s '' web", "kill: -s/--signal: not a signal: ''"),
    ("kill -9 web", "kill: ZONE: '-9' is not a zone name"),
    ("restart", "restart: ZONE is missing"),
    ("restart -t x web", "restart: -t/--timeout: not a duration: 'x'"),
    ("pause", "pause: ZONE is missing"),
    ("resume -x web", "resume: there is no option '-x'"),
    ("cp", "cp: SRC and DST are missing"),
    ("cp a", "cp: DST is missing"),
    ("cp a b", "cp: one of SRC and DST is ZONE:PATH, not neither of both"),
    ("cp a:/x b:/y", "cp: one of SRC and DST is ZONE:PATH, not both"),
    ("cp x web:etc", "cp: a path in a zone is absolute: web:/etc"),
    ("bench Web", "bench: 'Web' is neither a file nor the name of a zone"),
    ("bench web db", "bench: 'db' is one argument too many"),
    ("bench --quick Web", "bench: 'Web' is neither a file nor the name of a zone"),
    ("bench list web", "bench: 'web' is one argument too many"),
    ("bench list --rounds 3", "bench: --rounds is of no use for list"),
    ("bench compare", "bench: compare takes two files"),
    ("bench compare a.json", "bench: compare takes two files"),
    ("bench compare a.json b.json c.json", "bench: compare takes two files"),
    ("bench compare a.json b.json --quick", "bench: --quick is of no use for compare"),
    ("bench list --check", "bench: --check is of no use for list"),
    ("bench show", "bench: show takes a file"),
    ("bench show a.json b.json", "bench: show takes a file"),
    ("bench show a.json --html a.html --rounds 3", "bench: --rounds is of no use for show"),
    ("bench --json - --csv -", "bench: only one FILE can be standard output"),
    ("bench --against crnu", "--against: no peer is called 'crnu'"),
    ("bench list --against crun", "bench: --against is of no use for list"),
    ("bench --workload getpdi", "there is no workload or group of them named 'getpdi'"),
    ("bench --workload", "bench: -w/--workload: expected one argument"),
    ("bench --rounds 0", "bench: --rounds: not from 1 to 10000: '0'"),
    ("bench --rounds -1", "bench: --rounds: not a number: '-1'"),
    ("bench --rounds 1e9", "bench: --rounds: not a number: '1e9'"),
    ("bench --rounds 10001", "bench: --rounds: not from 1 to 10000: '10001'"),
    ("bench --plant 5 --layers", "bench: --plant measures no zone: it does not go with --layers"),
    ("bench --plant 0 --against crun", "bench: --plant measures no zone: it does not go with --against"),
    ("bench --kernel /boot/vmlinuz", "bench: --kernel is for what --against boots: qemu-tcg"),
    ("bench --kernel k --against crun", "bench: --kernel is for what --against boots: qemu-tcg"),
    ("bench --plant much", "bench: --plant: not a percentage: 'much'"),
    ("bench --plant nan", "bench: --plant: not from 0 to 1000: 'nan'"),
    ("bench --processor first", "bench: --processor: not a number: 'first'"),
    ("bench --json ''", "bench: --json: it is empty"),
    ("bench --set x", "bench: --set: 'x' is not KEY=VALUE"),
    ("bench --quik", "bench: there is no option '--quik' (did you mean --quick?)"),
    ("list -o xml", "list: -o/--output: 'xml' is none of table, json, csv"),
    ("list -o jsno", "list: -o/--output: 'jsno' is none of table, json, csv (did you mean json?)"),
    ("list -o", "list: -o/--output: expected one argument"),
    ("list -p -q", "list: -q/--quiet: not allowed with argument -p/--parsable"),
    ("list -p -o json", "list: -o/--output: not allowed with argument -p/--parsable"),
    ("list WEB", "list: ZONE: 'WEB' is not a zone name"),
    ("list -", "list: ZONE: '-' is not a zone name"),
    ("show", "show: ZONE is missing"),
    ("show a b", "show: 'b' is one argument too many"),
    ("logs", "logs: ZONE is missing"),
    ("logs --tail x web", "logs: --tail: not a number: 'x'"),
    ("logs --tail -1 web", "logs: --tail: not a number: '-1'"),
    ("logs --since yesterday web", "logs: --since: not a moment: 'yesterday'"),
    ("logs --since 2026-13-01 web", "logs: --since: not a moment: '2026-13-01'"),
    ("logs --since @inf web", "logs: --since: not a moment: '@inf'"),
    ("wait", "wait: ZONE is missing"),
    ("wait --timeout x web", "wait: --timeout: not a duration: 'x'"),
    ("doctor now", "doctor: 'now' is one argument too many"),
    ("image", "image: ACTION is missing"),
    (
        "image biuld",
        "image: ACTION: 'biuld' is none of build, import, list, verify, remove, prune (did you mean build?)",
    ),
    ("image build", "image build: KIND is missing"),
    ("image build alpine", "image build: KIND: 'alpine' is none of busybox, debian"),
    ("image import x", "image import: NAME[:TAG] is missing"),
    ("image remove", "image remove: NAME[:TAG] is missing"),
    ("image list -q --json", "image list: --json: not allowed with argument -q/--quiet"),
    ("help nosuch", "there is no verb 'nosuch'"),
    ("completion", "completion: SHELL is missing"),
    ("completion csh", "completion: SHELL: 'csh' is none of bash, fish, zsh"),
]

WRONG_FOREGROUND = [
    ("run", "run: FILE|IMAGE is missing"),
    ("run -e", "run: -e/--env: expected one argument"),
    ("run -e =x busybox", "run: -e/--env: not NAME=VALUE: '=x'"),
    ("run -e ZONECTL_IS_NOT_SET busybox", "run: -e/--env: 'ZONECTL_IS_NOT_SET' is not set here"),
    ("run -v /x busybox", "run: -v/--volume: not SOURCE:TARGET[:ro]: '/x'"),
    ("run -v /x:/y:rx busybox", "run: -v/--volume: not SOURCE:TARGET[:ro]: '/x:/y:rx'"),
    ("run -v :/y busybox", "run: -v/--volume: not SOURCE:TARGET[:ro]: ':/y'"),
    ("run -t -T busybox", "run: -T/--no-tty: not allowed with argument -t/--tty"),
    ("run --name Web busybox", "run: --name: 'Web' is not a zone name"),
    ("run --set x busybox", "run: --set: 'x' is not KEY=VALUE"),
    ("run --rm busybox", "run: there is no option '--rm'"),
    ("exec", "exec: ZONE is missing"),
    ("exec web", "exec: CMD is missing"),
    ("exec web --", "exec: CMD is missing"),
    ("exec -u '' web id", "exec: -u/--user: it is empty"),
    ("exec -w srv web id", "exec: -w/--workdir: not an absolute path: 'srv'"),
    ("exec -x web id", "exec: there is no option '-x'"),
    ("exec ..%2f id", "exec: ZONE: '..%2f' is not a zone name"),
    ("shell", "shell: ZONE is missing"),
    ("shell web id", "shell: 'id' is one argument too many"),
    ("shell -t -T web", "shell: -T/--no-tty: not allowed with argument -t/--tty"),
]


def check(outcome: Outcome, expected: str) -> None:
    first, *more = outcome.err.splitlines()
    assert first.startswith(f"zonectl: {expected}")
    assert len(more) <= 1
    assert all(line.startswith("  ") for line in more)
    assert outcome.out == ""


@pytest.mark.parametrize(("line", "expected"), WRONG, ids=[line or "nothing" for line, _ in WRONG])
def test_is_refused(run: Callable[..., Outcome], line: str, expected: str) -> None:
    outcome = run(*shlex.split(line))
    check(outcome, expected)
    assert outcome.status == 2


@pytest.mark.parametrize(("line", "expected"), WRONG_FOREGROUND, ids=[line for line, _ in WRONG_FOREGROUND])
def test_is_refused_apart_from_the_statuses_of_programs(
    run: Callable[..., Outcome], line: str, expected: str
) -> None:
    outcome = run(*shlex.split(line))
    check(outcome, expected)
    assert outcome.status == 125


def test_a_hint_names_the_help_of_the_verb(run: Callable[..., Outcome]) -> None:
    assert run("image", "build").err.splitlines()[1] == "  see zonectl image build --help"


def test_debug_shows_where(run: Callable[..., Outcome]) -> None:
    outcome = run("--debug", "list", "-x")
    assert outcome.err.startswith("Traceback")
    assert outcome.err.splitlines()[-2] == "zonectl: list: there is no option '-x'"
