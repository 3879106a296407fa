"""What the project says about itself: requirements, locks, Debian packages, and what must not stand in the tree."""

from __future__ import annotations

import os
import re
import stat
import struct
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tools import accelerator, launcher
from zonectl import __version__

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.lock", "requirements-run.lock", "requirements-build.lock"]

PYPROJECT_TEXT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads(PYPROJECT_TEXT)
PROJECT = PYPROJECT["project"]
DECLARED: list[str] = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: str) -> dict[str, tuple[str, list[str]]]:
    """Name to (version, hashes)."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        requirement, *hashes = line.split(" --hash=")
        name, version = requirement.strip().split("==")
        found[normalized(name)] = (version, [value.strip() for value in hashes])
    return found


# ------------------------------------------------------------------------------------------------------- pyproject


@pytest.mark.parametrize("requirement", DECLARED)
def test_every_dependency_has_a_lower_bound_and_its_reason(requirement: str) -> None:
    assert re.fullmatch(r"[a-z0-9-]+>=[0-9.]+", requirement), "a lower bound, and no upper one"
    lines = PYPROJECT_TEXT.splitlines()
    at = lines.index(f'    "{requirement}",')
    assert re.match(r"    # \S.{20,}", lines[at - 1]), "a comment above it says what it is for"


def test_no_console_script_is_declared() -> None:
    assert "scripts" not in PROJECT, "tools/launcher.py writes the command: a console script costs 9 ms"


def test_the_version_is_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(__version__)}\b", changelog, re.MULTILINE)


# ----------------------------------------------------------------------------------------------------------- locks


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*(-i|-f|--\w*index|--find|--trusted)", text, re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_locked_has_a_version_and_hashes(lock: str) -> None:
    requirements = locked(lock)
    assert requirements
    for name, (version, hashes) in requirements.items():
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), name
        assert hashes, name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), name


def test_what_is_declared_is_locked_and_not_below_its_bound() -> None:
    versions = {name: version for name, (version, _hashes) in locked("requirements.lock").items()}
    for requirement in DECLARED:
        name, bound = requirement.split(">=")
        assert numbers(versions[normalized(name)]) >= numbers(bound), requirement


def numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


@pytest.mark.parametrize("lock", LOCKS[1:])
def test_the_smaller_locks_repeat_the_whole_one(lock: str) -> None:
    assert locked(lock).items() <= locked("requirements.lock").items()


def test_an_installed_zonectl_gets_no_tools_of_developers() -> None:
    run = set(locked("requirements-run.lock"))
    assert {normalized(requirement.split(">=")[0]) for requirement in PROJECT["dependencies"]} <= run
    assert not run & {"pytest", "ruff", "mypy", "hypothesis", "setuptools"}


# ------------------------------------------------------------------------------------------------- Debian packages

GROUPS = ["base", "run", "build", "test", "lane", "bench"]


def debian_packages() -> list[tuple[str, str, str]]:
    lines = (ROOT / "tools" / "debian-packages.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split(maxsplit=2) for line in lines if line and not line.startswith("#")]
    return [(group, name, reason) for group, name, reason in rows]


def test_every_debian_package_has_a_group_a_name_and_a_user() -> None:
    for group, name, reason in debian_packages():
        assert group in GROUPS
        assert re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name)
        assert reason


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_is_sorted_and_names_no_package_twice(group: str) -> None:
    names = [name for of, name, _reason in debian_packages() if of == group]
    assert names
    assert names == sorted(set(names))


def test_an_unknown_group_is_refused() -> None:
    done = subprocess.run(
        [ROOT / "tools" / "packages", "--missing", "no-such"], capture_output=True, text=True, check=False
    )
    assert done.returncode in {1, 2}
    assert "no-such" in done.stderr


# ------------------------------------------------------------------------------------------------------- launcher


def test_the_launcher_hands_over_arguments_site_and_status(tmp_path: Path) -> None:
    package = tmp_path / "zonectl"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "client.py").write_text(
        "import sys\n"
        "def main(argv, *, site):\n"
        "    print(argv, site, sys.flags.isolated, sys.flags.no_site, 'site' in sys.modules)\n"
        "    return 7\n"
    )
    # Beside the package, where it must not hide the standard library's.
    (tmp_path / "errno.py").write_text("raise SystemExit('hidden')\n")
    (tmp_path / "bisect.py").write_text("raise SystemExit('hidden')\n")
    command = tmp_path / "bin"
    assert launcher.main([str(command), str(tmp_path), "/srv/site"]) == 0
    done = subprocess.run(
        [command, "exec", "a b", "--"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(tmp_path / "elsewhere")},
    )
    assert (done.stdout, done.stderr) == ("['exec', 'a b', '--'] ('/srv/site',) 1 1 False\n", "")
    assert done.returncode == 7


def test_the_launcher_names_a_real_interpreter() -> None:
    path = launcher.real_interpreter()
    assert not os.path.islink(path)
    with open(path, "rb") as interpreter:
        assert interpreter.read(4) == b"\x7fELF", "a shim would cost each command 100 ms"


@pytest.mark.parametrize("interpreter", ["/opt/my python/bin/python3", "/" + "x" * 300])
def test_a_first_line_that_the_kernel_would_not_read_is_refused(interpreter: str) -> None:
    with pytest.raises(ValueError, match="cannot run an interpreter"):
        launcher.launcher_text(interpreter=interpreter, package_dir="/srv", site=())


# ---------------------------------------------------------------------------------------------------- native/entry.c

ENTRY = "zonectl/libexec/zonectl-entry"
PT_INTERP = 3


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small program where accelerator looks for native/entry.c."""
    monkeypatch.setattr(accelerator, "TOP", tmp_path)
    path = tmp_path / "native" / "entry.c"
    path.parent.mkdir()
    path.write_text("int main(void)\n{\n\treturn 7;\n}\n")
    return path


def status_of(program: Path | str) -> int:
    return subprocess.run([program], check=False).returncode


def program_headers(elf: bytes) -> list[int]:
    """Their types; elf(5)."""
    (offset,) = struct.unpack_from("=Q", elf, 32)
    size, count = struct.unpack_from("=HH", elf, 54)
    return [struct.unpack_from("=I", elf, offset + size * i)[0] for i in range(count)]


def test_the_entry_is_compiled_to_a_new_folder_for_every_user_and_every_root(
    tmp_path: Path, source: Path
) -> None:
    entry = tmp_path / "package" / "libexec" / "zonectl-entry"
    before = os.umask(0o077)
    try:
        accelerator.compile_entry(str(entry))
    finally:
        os.umask(before)
    assert os.listdir(entry.parent) == [entry.name]
    assert stat.S_IMODE(entry.stat().st_mode) == 0o755
    assert PT_INTERP not in program_headers(entry.read_bytes()), "a zone's root may hold no dynamic linker"
    assert status_of(entry) == 7


def test_the_entry_is_replaced_at_once(tmp_path: Path, source: Path) -> None:
    entry = tmp_path / "zonectl-entry"
    accelerator.compile_entry(str(entry))
    with open(entry, "rb") as held:
        old = held.read()
        source.write_text(source.read_text().replace("7", "8"))
        accelerator.compile_entry(str(entry))
        held.seek(0)
        assert held.read() == old, "who holds the old one keeps it whole"
    assert status_of(entry) == 8


def test_an_entry_that_does_not_compile_leaves_the_old_one(tmp_path: Path, source: Path) -> None:
    entry = tmp_path / "libexec" / "zonectl-entry"
    accelerator.compile_entry(str(entry))
    source.write_text("int main(void) { return unknown; }\n")
    with pytest.raises(subprocess.CalledProcessError):
        accelerator.compile_entry(str(entry))
    assert os.listdir(entry.parent) == [entry.name]
    assert status_of(entry) == 7


@pytest.mark.parametrize("form", ["--entry", "client"])
def test_without_a_compiler_it_says_so_in_a_line(tmp_path: Path, form: str) -> None:
    words = {"--entry": ["--entry", "new/zonectl-entry"], "client": ["new/zonectl", "launcher"]}[form]
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "accelerator.py", *words],
        cwd=tmp_path,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "accelerator.py: there is no C compiler: apt install gcc libc6-dev\n"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["Makefile", "tools/venv", "tools/install"])
def test_who_makes_the_entry_names_its_place(name: str) -> None:
    assert ENTRY in (ROOT / name).read_text(encoding="utf-8")


def test_a_compiled_entry_is_in_no_commit_and_no_archive() -> None:
    folder = f"/{os.path.dirname(ENTRY)}"
    assert f"{folder}/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    targets = PYPROJECT["tool"]["hatch"]["build"]["targets"]
    for target in ["wheel", "sdist"]:
        assert folder in targets[target]["exclude"], target


# ------------------------------------------------------------------------------------------ the tree speaks of zonectl


def repository_files() -> list[Path]:
    """What git knows of, or else (an unpacked archive) what is there and no build product."""
    git = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if git.returncode == 0:
        return [ROOT / name for name in git.stdout.split("\0") if name and (ROOT / name).is_file()]
    products = {".venv", "build", "dist", "libexec", "__pycache__", ".git"}
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not products & set(path.relative_to(ROOT).parts)
    ]


# Written in halves, so that this file does not find itself.
HOSTS = ["pypi" + ".org", "python" + "hosted", "deb.debian" + ".org", "npmjs" + ".org", "/.py" + "env/"]
# Folders that a checkout may lie in and that text may name all the same.
COMMON = {"/", "/home", "/mnt", "/opt", "/root", "/srv", "/tmp", "/usr/src", "/var/tmp"}


def foreign_words() -> re.Pattern[bytes]:
    """Registry hosts, and paths of whichever machine the tests run on (from their first slash on)."""
    here = [str(ROOT)] if str(ROOT.parent) in COMMON else [str(ROOT), f"{ROOT.parent}/"]
    hosts = "|".join(re.escape(host) for host in HOSTS)
    paths = "|".join(re.escape(path) for path in here)
    return re.compile(rf"{hosts}|(?<![\w.~*)}}>\]])(?:{paths})".encode())


def test_the_tree_names_no_registry_and_no_path_of_this_machine() -> None:
    words = foreign_words()
    found = {
        f"{path.relative_to(ROOT)}: {match.decode()}"
        for path in repository_files()
        for match in words.findall(path.read_bytes())
    }
    assert not found


@pytest.mark.parametrize(
    "script", sorted(p for p in (ROOT / "tools").iterdir() if not p.suffix and p.is_file())
)
def test_tools_are_executable_and_stop_at_the_first_failure(script: Path) -> None:
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    if text.startswith("#!/usr/bin/env bash\n"):
        assert "\nset -euo pipefail\n" in text
    else:
        assert re.match(r"#!\S*python3|#!/usr/bin/env python3", text)


def test_this_python_is_new_enough_for_the_code() -> None:
    wanted = numbers(PROJECT["requires-python"])
    assert list(sys.version_info[:2]) >= wanted
