"""`make bench-choices`: what choices of zonectl's cost a program: the overlay's mount options, and the network's rules.

Where `zonectl bench` finds that a zone costs something, this tells whether it had to. Two parts:

- `overlay`: system calls on files of an overlay, mounted by hand with other options each time, beside the bare folder.
- `rules`: a datagram's round trip between a zone and the host, with the tables of the instance, with one of them, and
  with none; and over loopback, which is bare metal's way.

It works in a network and a mount namespace of its own, where it may remove rules. A round runs all arms there and back
(ABBA); compared is the difference from the first arm within a round: the median of the differences, and where it lies
with 95 % (zonectl.bench.bootstrap). The first arm is there twice: what differs between those two is noise.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

from zonectl.bench.bootstrap import LEAST_VALUES, interval, median  # noqa: E402 - runs from the tree, installed or not
from zonectl.kernel import process  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ZONECTL = TOP / ".venv" / "bin" / "zonectl"
NF_CALL = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
PORT = "7007"
TRIPS = "5000"
GATEWAY = "10.211.79.1"
ZONE = """
name = "choices"
command = ["/bin/sleep", "infinity"]
root = {{ host = true }}
process = {{ affinity = "{processor}" }}
network = {{ bridge = "zchoices", subnet = "10.211.79.0/24" }}
mount = [{{ type = "bind", source = "{folder}", target = "/mnt", readonly = true }}]
"""
PROGRAM = r"""
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char block[4096];

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1e9 + at.tv_nsec;
}

#define TIMED(count, call) do { \
    double began = now(); \
    for (int i = 0; i < (count); i++) { call; } \
    printf("%.1f ", (now() - began) / (count)); \
} while (0)

static int files(const char *folder)
{
    struct stat seen;
    int fd;
    if (chdir(folder) || (fd = open("file", O_RDWR | O_CREAT, 0600)) < 0 || write(fd, block, 4096) != 4096)
        return 1;
    TIMED(20000, stat("file", &seen));
    TIMED(20000, close(open("file", O_RDONLY)));
    TIMED(20000, if (pread(fd, block, 4096, 0) != 4096) return 1);
    TIMED(20000, if (pwrite(fd, block, 4096, 0) != 4096) return 1);
    TIMED(1000, close(open("new", O_WRONLY | O_CREAT | O_EXCL, 0600)); if (unlink("new")) return 1);
    return 0;
}

static int server(int sock, struct sockaddr_in *here)
{
    struct sockaddr_in from;
    socklen_t size;
    here->sin_addr.s_addr = htonl(INADDR_ANY);
    if (bind(sock, (void *)here, sizeof *here))
        return 1;
    puts("ready");
    fflush(stdout);
    for (;;) {
        size = sizeof from;
        ssize_t got = recvfrom(sock, block, sizeof block, 0, (void *)&from, &size);
        if (got < 0 || sendto(sock, block, got, 0, (void *)&from, size) != got)
            return 1;
    }
}

static int trip(int sock)
{
    return send(sock, block, 32, 0) != 32 || recv(sock, block, sizeof block, 0) != 32;
}

int main(int argc, char **argv)
{
    struct timeval patience = {.tv_sec = 5};
    struct sockaddr_in there = {.sin_family = AF_INET};
    int sock = socket(AF_INET, SOCK_DGRAM, 0);
    if (argc == 3 && !strcmp(argv[1], "files"))
        return files(argv[2]);
    there.sin_port = htons(atoi(argv[2]));
    if (argc == 3)
        return server(sock, &there);
    inet_pton(AF_INET, argv[3], &there.sin_addr);
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(sock, (void *)&there, sizeof there))
        return 1;
    for (int i = 0; i < 200; i++)
        if (trip(sock))
            return 1;
    TIMED(atoi(argv[4]), if (trip(sock)) return 1);
    return 0;
}
"""
CALLS = ("stat", "open, close", "4 KiB read", "4 KiB written", "file made, removed")
OPTIONS = {
    "userxattr (a zone's)": "userxattr",
    "userxattr again": "userxattr",
    "no overlay": None,
    "xino=off": "userxattr,xino=off",
    "index=off,nfs_export=off": "userxattr,index=off,nfs_export=off",
    "redirect_dir=nofollow,metacopy=off": "userxattr,redirect_dir=nofollow,metacopy=off",
    "volatile": "userxattr,volatile",
    "trusted attributes": "",
    "two lower layers": "userxattr",
}
"""By arm, the overlay's options; None for none."""
FAMILIES = ("bridge", "inet")

Arms = dict[str, "Callable[[], Sequence[float]]"]
"""By name, what gives a sample: nanoseconds of each measure."""


def main() -> int:
    """Measure and print; the exit status is 0 unless a command fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", default=["overlay", "rules"], help="overlay, rules"
    )
    parser.add_argument("--rounds", type=int, default=30, help="default 30")
    parser.add_argument("--json", metavar="FILE", help="write every round there")
    options = parser.parse_args()
    if set(options.parts) - {"overlay", "rules"} or options.rounds < LEAST_VALUES:
        parser.error(f"the parts are overlay and rules, and at least {LEAST_VALUES} rounds are needed")
    process.unshare(process.CLONE_NEWNET | process.CLONE_NEWNS)
    done("mount", "--make-rprivate", "/")
    done("ip", "link", "set", "lo", "up")
    kept = {}
    with ExitStack() as stack:
        # On a disk: what lies below a zone is seldom in memory.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="zonectl-bench.", dir="/var/tmp"))
        program = compiled(Path(folder))
        if "overlay" in options.parts:
            kept["overlay"] = measured(overlays(Path(folder), program, stack), CALLS, rounds=options.rounds)
        if "rules" in options.parts:
            kept["rules"] = measured(
                ways(Path(folder), program, stack), ("round trip",), rounds=options.rounds
            )
    if options.json:
        Path(options.json).write_text(json.dumps(kept, indent=1), encoding="utf-8")
    return 0


def compiled(folder: Path) -> Path:
    """The program that takes the times, linked statically: it works in the zone and outside of it."""
    (folder / "program").mkdir()
    source, program = folder / "program" / "choices.c", folder / "program" / "choices"
    source.write_text(PROGRAM, encoding="ascii")
    done("cc", "-O2", "-static", "-o", str(program), str(source))
    return program


def overlays(folder: Path, program: Path, stack: ExitStack) -> Arms:
    """The arms of the overlay's options, each mounted by now."""
    arms: Arms = {}
    for number, (name, given) in enumerate(OPTIONS.items()):
        made = {part: folder / str(number) / part for part in ("low", "lower", "upper", "work", "merged")}
        for path in made.values():
            path.mkdir(parents=True)
        seen = made["upper"]
        if given is not None:
            lowers = f"{made['low']}:{made['lower']}" if name.startswith("two") else str(made["low"])
            options = f"lowerdir={lowers},upperdir={made['upper']},workdir={made['work']},{given}".rstrip(",")
            seen = made["merged"]
            done("mount", "-t", "overlay", "overlay", "-o", options, str(seen))
            stack.callback(done, "umount", str(seen))
        arms[name] = on_processor(last(), str(program), "files", str(seen))
    return arms


def ways(folder: Path, program: Path, stack: ExitStack) -> Arms:
    """The arms of the rules: a zone that runs, and a server on the host; the zone's tables are there, or not."""
    (folder / "choices.toml").write_text(
        ZONE.format(processor=last(), folder=program.parent), encoding="utf-8"
    )
    zonectl = [str(ZONECTL), "--root", str(folder / "state"), "--run", str(folder / "run")]
    done(*zonectl, "create", str(folder / "choices.toml"))
    stack.callback(done, *zonectl, "zoned", "stop")
    stack.callback(done, *zonectl, "delete", "-f", "choices")
    done(*zonectl, "start", "choices")
    first = str(min(os.sched_getaffinity(0)))
    server = subprocess.Popen(["taskset", "-c", first, str(program), "server", PORT], stdout=subprocess.PIPE)
    stack.callback(server.wait)
    stack.callback(server.kill)
    if server.stdout is None or not server.stdout.readline():
        sys.exit("bench_choices: the server does not start")
    rules = done("nft", "list", "ruleset")
    client = ["client", PORT]
    trip = sampled(*zonectl, "exec", "choices", "--", "/mnt/choices", *client, GATEWAY, TRIPS)
    loop = on_processor(last(), str(program), *client, "127.0.0.1", TRIPS)

    def arm(
        sample: Callable[[], Sequence[float]], *families: str, called: bool = True
    ) -> Callable[[], Sequence[float]]:
        def run() -> Sequence[float]:
            load(rules, families)
            if NF_CALL.exists():
                NF_CALL.write_text(str(int(called)), encoding="ascii")
            return sample()

        return run

    return {
        "both tables": arm(trip, *FAMILIES),
        "both tables again": arm(trip, *FAMILIES),
        "table bridge": arm(trip, "bridge"),
        "table inet": arm(trip, "inet"),
        "no table": arm(trip),
        "both, bridge-nf-call off": arm(trip, *FAMILIES, called=False),
        "loopback, both tables": arm(loop, *FAMILIES),
        "loopback, no table": arm(loop),
    }


def load(rules: str, families: Sequence[str]) -> None:
    """Have the tables of `families` of `rules`, and no others, in this network namespace, which is our own."""
    done("nft", "flush", "ruleset")
    if not families:
        return
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    for line in done("nft", "list", "tables").splitlines():
        _table, family, name = line.split()
        if family not in families:
            done("nft", "delete", "table", family, name)


def last() -> str:
    """The processor that is measured on."""
    return str(max(os.sched_getaffinity(0)))


def on_processor(number: str, *argv: str) -> Callable[[], Sequence[float]]:
    """What gives a sample of a program of the host's."""
    return sampled("taskset", "-c", number, *argv)


def sampled(*argv: str) -> Callable[[], Sequence[float]]:
    """What gives a sample: the figures that the command prints."""
    return lambda: [float(word) for word in done(*argv).split()]


def done(*argv: str) -> str:
    """What the command prints; the benchmark ends where it fails."""
    found = subprocess.run(argv, check=False, capture_output=True, text=True)
    if found.returncode:
        sys.exit(f"bench_choices: {' '.join(argv)}: status {found.returncode}: {found.stderr.strip()}")
    return found.stdout


def measured(arms: Arms, measures: Sequence[str], *, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Run so many rounds and print them: by measure and arm, the mean of each round's two samples."""
    taken: dict[str, dict[str, list[float]]] = {measure: {arm: [] for arm in arms} for measure in measures}
    for _ in range(rounds):
        seen: dict[str, list[Sequence[float]]] = {arm: [] for arm in arms}
        for arm in (*arms, *reversed(arms)):
            seen[arm].append(arms[arm]())
        for arm, samples in seen.items():
            for measure, values in zip(measures, zip(*samples, strict=True), strict=True):
                taken[measure][arm].append(statistics.fmean(values))
    for measure in measures:
        print("\n".join(told(measure, taken[measure])), end="\n\n")
    return taken


def told(measure: str, rounds: Mapping[str, Sequence[float]]) -> list[str]:
    """What is printed of one measure."""
    first = next(iter(rounds))
    lines = [f"{measure}, ns ({len(rounds[first])} rounds)"]
    for arm, values in rounds.items():
        line = f"{arm:<36}{median(values):10.0f}"
        if arm != first:
            above = [value - base for value, base in zip(values, rounds[first], strict=True)]
            where = interval(above)
            line += f"{median(above):+10.0f}   {where.low:+.0f} to {where.high:+.0f}"
        lines.append(line)
    return lines


if __name__ == "__main__":
    sys.exit(main())
