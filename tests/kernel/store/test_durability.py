"""What the documents promise for a power cut and a kill, seen through strace."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from zonectl.errors import Busy, StoreError
from zonectl.kernel import process
from zonectl.store import documents, locks

pytestmark = pytest.mark.requires("root", "program:strace")

REPOSITORY = Path(__file__).parents[3]
CALLS = "openat,write,fsync,rename,renameat,renameat2,unlinkat"
PROGRAM = """
import sys
from zonectl.store import documents
documents.write_json(sys.argv[1], {"schema_version": 1, "text": "new" * 1000})
"""


def traced(path: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The end of the program under strace, and its calls from the first one on the temporary file."""
    trace = path.with_name("trace")
    argv = ["strace", "-f", "-o", str(trace), "-e", f"trace={CALLS}", *options]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*argv, sys.executable, "-c", PROGRAM, str(path)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    lines = [line.partition(" ")[2].strip() for line in trace.read_text().splitlines()]
    start = next((n for n, line in enumerate(lines) if f'"{path.parent}", O_RDONLY' in line), len(lines))
    return done, lines[start:]


def test_the_order_is_write_fsync_rename_fsync_of_the_folder(tmp_path: Path) -> None:
    done, calls = traced(tmp_path / "a.json")
    assert done.returncode == 0, done.stderr
    text = "\n".join(calls)
    order = (
        r'openat\(AT_FDCWD, "[^"]*", O_RDONLY\|O_CLOEXEC\|O_DIRECTORY\) += (?P<folder>\d+)\n'
        r'openat\((?P=folder), "(?P<name>\.tmp-\d+-[0-9a-f]{8})", O_WRONLY\|O_CREAT\|O_EXCL\|O_CLOEXEC, 0600\)'
        r" += (?P<file>\d+)\n"
        r"write\((?P=file), .*\n"
        r"fsync\((?P=file)\) += 0\n"
        r'renameat\((?P=folder), "(?P=name)", (?P=folder), "a\.json"\) += 0\n'
        r"fsync\((?P=folder)\) += 0\n"
    )
    assert re.match(order, text), text


@pytest.mark.parametrize("call", ["write", "fsync", "renameat"])
@pytest.mark.fault(
    "the writer of a document is killed at write, fsync or rename",
    "the old document or the new one, never half",
)
def test_killed_at_any_call_the_document_is_the_old_or_the_new_one(tmp_path: Path, call: str) -> None:
    path = tmp_path / "a.json"
    documents.write_json(str(path), {"schema_version": 1, "text": "old"})
    for nth in range(1, 4):
        traced(path, "-e", f"inject={call}:signal=SIGKILL:when={nth}")
        assert documents.read_json(str(path), newest=1)["text"] in {"old", "new" * 1000}
    documents.sweep(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["a.json", "trace"]


@pytest.mark.parametrize(
    ("call", "errno", "words"),
    [
        ("write", "ENOSPC", "No space left on device"),
        ("fsync", "EIO", "Input/output error"),
        ("renameat", "EROFS", "Read-only file system"),
    ],
)
@pytest.mark.fault(
    "ENOSPC at write, EIO at fsync, EROFS at rename",
    "told in a line; the old document stays; no temporary file",
)
def test_a_failed_call_is_told_and_the_old_document_stays(
    tmp_path: Path, call: str, errno: str, words: str
) -> None:
    path = tmp_path / "a.json"
    documents.write_json(str(path), {"schema_version": 1, "text": "old"})
    done, _calls = traced(path, "-e", f"inject={call}:error={errno}:when=1")
    assert "StoreError" in done.stderr
    assert words in done.stderr
    assert json.loads(path.read_text())["text"] == "old"
    assert sorted(os.listdir(tmp_path)) == ["a.json", "trace"]


@pytest.mark.requires("program:mount")
@pytest.mark.fault("a document is written to a full file system", "told with what helps; the old one stays")
def test_a_full_file_system_is_a_store_error(tmp_path: Path) -> None:
    """In a child with a mount namespace of its own: nothing is left mounted."""
    pid = os.fork()
    if pid == 0:
        os._exit(_on_a_full_file_system(tmp_path))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _on_a_full_file_system(folder: Path) -> int:
    process.unshare(process.CLONE_NEWNS)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    path = folder / "a.json"
    documents.write_json(str(path), {"schema_version": 1, "text": "old"})
    try:
        documents.write_json(str(path), {"schema_version": 1, "text": "x" * 100_000})
    except StoreError as error:
        told = error.hint == "free some space on that file system" and "\n" not in error.message
        kept = documents.read_json(str(path), newest=1)["text"] == "old"
        return 0 if told and kept and os.listdir(folder) == ["a.json"] else 2
    return 3


@pytest.mark.requires("program:mount")
@pytest.mark.fault("a lock is taken on a full file system", "it is held; only its note is missing")
def test_a_lock_can_be_taken_on_a_full_file_system(tmp_path: Path) -> None:
    """Of what helps there, stop and delete, each takes one; only its note has no room."""
    pid = os.fork()
    if pid == 0:
        os._exit(_locked_on_a_full_file_system(tmp_path))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _locked_on_a_full_file_system(folder: Path) -> int:
    process.unshare(process.CLONE_NEWNS)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    with suppress(OSError):
        (folder / "filler").write_bytes(bytes(1 << 20))
    path = str(folder / "lock")
    with locks.lock(path, verb="stop", zone="web", timeout_s=0):
        if (folder / "lock").stat().st_size or not locks.is_held(path):
            return 2
        try:
            with locks.lock(path, verb="delete", zone="web", timeout_s=0):
                return 3
        except Busy as busy:
            return 0 if busy.holder == locks.UNKNOWN_HOLDER else 4
