from __future__ import annotations

from tests.faults.calls import Point, errors, kills

TRACE = """\
100 openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3
100 openat(AT_FDCWD, "/run/x/lock", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 3
100 flock(3, LOCK_EX|LOCK_NB) = 0
101 mkdir("/sys/fs/cgroup/zonectl-0a/0badcafe", 0777) = 0
100 mkdir("/run/x/zones", 0700) = 0
100 mkdir("/run/x/zones/a", 0700 <unfinished ...>
100 <... mkdir resumed>) = 0
100 read(3, "", 10) = 0
100 +++ exited with 0 +++
""".splitlines()


def test_calls_that_change_something_are_points_counted_for_each_process() -> None:
    assert kills(TRACE) == [
        Point("openat", 2),
        Point("flock", 1),
        Point("mkdir", 1),  # of either process: strace counts each on its own
        Point("mkdir", 2),
    ]


def test_a_trace_of_one_process_has_no_pids() -> None:
    assert kills(['unlink("/run/x/live.json") = 0', "close(3) = 0"]) == [Point("unlink", 1)]


def test_what_may_fail_fails_in_every_way_that_it_may() -> None:
    assert {point.fault for point in errors([Point("mkdir", 7)])} == {"ENOSPC", "EIO"}
    assert errors([Point("exit_group", 1)]) == []


def test_what_strace_is_told() -> None:
    assert Point("mkdir", 2).expression == "mkdir:signal=SIGKILL:when=2"
    assert Point("mkdir", 2, "EIO").expression == "mkdir:error=EIO:when=2"
