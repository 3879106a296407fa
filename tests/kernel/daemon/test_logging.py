from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.patience import until
from zonectl.daemon.zonelog import Source, ZoneLog
from zonectl.model.instance import Instance
from zonectl.store import logs
from zonectl.store.logs import Stream
from zonectl.store.paths import Paths

if TYPE_CHECKING:
    from tests.kernel.daemon.rig import Rig


def _logged(rig: Rig, name: str, texts: list[bytes]) -> bool:
    return _texts(rig, name) == texts


def _texts(rig: Rig, name: str) -> list[bytes]:
    return [line.text for line in logs.read(rig.paths, name)]


def test_output_is_logged_with_stream_and_time(rig: Rig) -> None:
    before = time.time()
    assert rig.run("start", "web", "sh", "-c", "echo out; sleep 0.2; echo err >&2; sleep 100").returncode == 0
    until(lambda: len(_texts(rig, "web")) == 2)
    first, second = logs.read(rig.paths, "web")
    assert (first.stream, first.text, second.stream, second.text) == (Stream.OUT, b"out", Stream.ERR, b"err")
    assert before <= first.time < second.time <= time.time()
    assert rig.run("logs", "web").stdout == b"OUT out\nERR err\n"


def test_the_last_words_of_a_short_life_are_logged(rig: Rig) -> None:
    for number in range(5):
        assert rig.run("start", f"z{number}", "sh", "-c", f"echo {number}").returncode == 0
    for number in range(5):
        until(partial(_logged, rig, f"z{number}", [b"%d" % number]))


def test_hostile_bytes_are_kept_verbatim(rig: Rig) -> None:
    assert rig.run("start", "web", "printf", r"\033[2J\000\377\r\nnext").returncode == 0
    until(lambda: _texts(rig, "web") == [b"\x1b[2J\0\xff\r", b"next"])


@pytest.mark.fault(
    "the logger is killed four times with output flowing", "60,000 lines, none lost, none doubled"
)
def test_a_killed_logger_loses_and_doubles_nothing(rig: Rig) -> None:
    count = 60_000
    script = f"i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo $i; done; sleep 100"
    assert rig.run("start", "web", "sh", "-c", script).returncode == 0
    # A new logger is started at once after a second of life, after a pause before.
    killed = 0
    while not (texts := _texts(rig, "web")) or texts[-1] != b"%d" % count:
        logger = rig.logger()
        if killed < 4 and logger:
            with suppress(ProcessLookupError):  # dead, and the next one not there yet
                os.kill(logger, signal.SIGKILL)
                killed += 1
        time.sleep(0.05)
    assert killed
    assert _texts(rig, "web") == [b"%d" % number for number in range(1, count + 1)]


@pytest.mark.fault(
    "the logger is killed, and the zone ends before the next one comes", "its last line is in the log"
)
def test_last_words_survive_the_logger(rig: Rig) -> None:
    assert rig.run("start", "web", "sh", "-c", "sleep 0.5; echo last").returncode == 0
    # Within its first second: the next one comes after a pause, and the zone has ended by then.
    os.kill(until(rig.logger), signal.SIGKILL)
    until(lambda: _texts(rig, "web") == [b"last"])


def test_the_logger_outlives_zoned_and_ends_with_the_last_zone(rig: Rig) -> None:
    assert rig.run("start", "web", "sh", "-c", "sleep 0.6; echo alone").returncode == 0
    logger = until(rig.logger)
    rig.kill_zoned()
    until(lambda: _texts(rig, "web") == [b"alone"])
    until(lambda: not Path(f"/proc/{logger}").exists())


@pytest.mark.fault(
    "zoned is killed with output flowing", "300 lines, none lost, none doubled, over two loggers"
)
def test_a_new_zoned_takes_the_log_over(rig: Rig) -> None:
    script = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i; sleep 0.005; done; sleep 100"
    assert rig.run("start", "web", "sh", "-c", script).returncode == 0
    logger = until(rig.logger)
    rig.kill_zoned()
    assert rig.run("exec", "true").returncode == 0
    until(lambda: not Path(f"/proc/{logger}").exists())
    until(lambda: len(_texts(rig, "web")) == 300)
    assert _texts(rig, "web") == [b"%d" % number for number in range(1, 301)]


def test_more_than_a_segment_is_rotated(rig: Rig) -> None:
    script = "head -c 25000000 /dev/zero | tr '\\0' x | fold -w 999; echo; echo end; sleep 100"
    assert rig.run("start", "web", "sh", "-c", script).returncode == 0
    until(lambda: [line.text for line in logs.read(rig.paths, "web", tail=1)] == [b"end"], timeout_s=60)
    folder = Path(rig.paths.log_dir("web"))
    assert len(list(folder.glob("*.log"))) == logs.SEGMENTS
    assert sum(file.stat().st_size for file in folder.glob("*.log")) > 2 * logs.SEGMENT_BYTES


class _Pipe:
    """A FIFO pair as a zone has it, and the log behind it."""

    def __init__(self, folder: Path, *, segment_bytes: int = 1000, keep: int = 3) -> None:
        self.complaints: list[str] = []
        folder.mkdir(parents=True)
        for name in ("out", "err"):
            os.mkfifo(folder / name)
        self.writers = [os.open(folder / name, os.O_RDWR | os.O_NONBLOCK) for name in ("out", "err")]
        readers = [os.open(folder / name, os.O_RDONLY | os.O_NONBLOCK) for name in ("out", "err")]
        log = ZoneLog(
            str(folder / "log"), complain=self.complaints.append, segment_bytes=segment_bytes, keep=keep
        )
        self.source = Source(1, log, (readers[0], readers[1]))

    def write(self, data: bytes, *, stream: Stream = Stream.OUT) -> None:
        os.write(self.writers[stream.value], data)
        self.source.drain()

    def close(self) -> None:
        self.source.close()
        for fd in self.writers:
            os.close(fd)


def _zone_paths(tmp_path: Path) -> tuple[Paths, Path]:
    paths = Paths(Instance(root=str(tmp_path), run=str(tmp_path / "run")))
    return paths, Path(paths.zone_dir("web"))


def test_rotation_keeps_the_newest_segments_and_lines_that_span_them(tmp_path: Path) -> None:
    paths, folder = _zone_paths(tmp_path)
    pipe = _Pipe(folder)
    for number in range(100):
        pipe.write(b"%d " % number + b"x" * 60 + b"\n")
    pipe.close()
    texts = [line.text for line in logs.read(paths, "web")]
    assert logs.segments(paths.log_dir("web"))[-1] >= 5
    assert texts[-1].startswith(b"99 ")
    assert [text.split()[0] for text in texts[1:]] == [b"%d" % n for n in range(100 - len(texts) + 1, 100)]
    assert [line.text[:2] for line in logs.read(paths, "web", tail=3)] == [b"97", b"98", b"99"]
    assert list(logs.read(paths, "web", tail=0)) == []


def test_since_leaves_older_lines_out(tmp_path: Path) -> None:
    paths, folder = _zone_paths(tmp_path)
    pipe = _Pipe(folder)
    pipe.write(b"old\n")
    time.sleep(0.01)
    between = time.time()
    time.sleep(0.01)
    pipe.write(b"new\n", stream=Stream.ERR)
    pipe.close()
    assert [line.text for line in logs.read(paths, "web", since=between)] == [b"new"]


def test_followers_see_each_line_once_across_segments(tmp_path: Path) -> None:
    paths, folder = _zone_paths(tmp_path)
    pipe = _Pipe(folder, segment_bytes=500, keep=1000)
    done = threading.Event()

    def write() -> None:
        for number in range(500):
            pipe.write(b"%d\n" % number)
        done.set()

    pipe.write(b"before\n")
    writer = threading.Thread(target=write)
    writer.start()
    seen = [
        line.text
        for line in logs.follow(paths, "web", tail=10_000, ended=done.is_set, pause_s=0.01)
        if line is not None
    ]
    writer.join()
    pipe.close()
    assert seen == [b"before", *(b"%d" % number for number in range(500))]


def test_a_full_disk_stops_no_zone(tmp_path: Path) -> None:
    # A folder where no file can be made stands for it: /dev/full cannot be a folder.
    paths, folder = _zone_paths(tmp_path)
    pipe = _Pipe(folder)
    (folder / "log").write_text("not a folder")
    pipe.write(b"x" * 5000)
    pipe.write(b"x" * 5000)
    pipe.close()
    assert len(pipe.complaints) == 1
    assert "5000 bytes of output lost" in pipe.complaints[0]
    del paths


@pytest.mark.fault("the index of a log is torn", "what is whole is read, what follows is kept")
def test_a_torn_index_record_is_written_over(tmp_path: Path) -> None:
    paths, folder = _zone_paths(tmp_path)
    pipe = _Pipe(folder)
    pipe.write(b"one\n")
    pipe.close()
    index = Path(logs.segment_path(paths.log_dir("web"), 0, "idx"))
    index.write_bytes(index.read_bytes()[: logs.RECORD.size] + b"torn")
    for name in ("out", "err"):
        (folder / name).unlink()
    again = folder / "again"
    second = _Pipe(again)
    (again / "log").symlink_to(paths.log_dir("web"))
    second.write(b"two\n", stream=Stream.ERR)
    second.close()
    assert [(line.text, line.stream) for line in logs.read(paths, "web")] == [
        (b"one", Stream.OUT),
        (b"two", Stream.ERR),
    ]
