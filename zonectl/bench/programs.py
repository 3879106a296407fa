"""Workloads that are programs of the arm's root: what people really do, and other benchmarks as witnesses.

The probe times the program's whole life, so a start is part of it; each is told a fixed amount of work, so that its
time is comparable. The witnesses' own figures are nobody's concern here: one runs them by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from zonectl.bench.results import WorkloadFacts
from zonectl.bench.workload import Extent, Need, Workload

if TYPE_CHECKING:
    from collections.abc import Sequence

# Neither a comma nor white space, which have a meaning of their own (spawn.c).
_PLAIN: Final = "/-_.~=:+()"


def program(argv: Sequence[str], *, stdin: str = "") -> tuple[tuple[str, str], ...]:
    """The settings that make the probe run the program, and give it that to read."""
    settings = [("argv", ",".join(quote(word, safe=_PLAIN) for word in argv))]
    if stdin:
        settings.append(("stdin", quote(stdin, safe=_PLAIN)))
    return tuple(settings)


SOURCE: Final = """\
struct node { struct node *left, *right; unsigned key, count; };

static struct node nodes[4096];
static unsigned used;

static struct node *insert(struct node *at, unsigned key)
{
    if (!at) {
        if (used == sizeof nodes / sizeof *nodes)
            return 0;
        at = &nodes[used++];
        at->key = key;
    }
    if (key < at->key)
        at->left = insert(at->left, key);
    else if (key > at->key)
        at->right = insert(at->right, key);
    at->count++;
    return at;
}

static unsigned long depth(const struct node *at)
{
    unsigned long left, right;

    if (!at)
        return 0;
    left = depth(at->left);
    right = depth(at->right);
    return 1 + (left > right ? left : right);
}

void multiply(double result[32][32], const double one[32][32], const double other[32][32])
{
    for (int row = 0; row < 32; row++)
        for (int column = 0; column < 32; column++) {
            double sum = 0;

            for (int at = 0; at < 32; at++)
                sum += one[row][at] * other[at][column];
            result[row][column] = sum;
        }
}

int compare(const char *one, const char *other)
{
    while (*one && *one == *other)
        one++, other++;
    switch (*one - *other) {
    case 0: return 0;
    case 1: return 2;
    case -1: return -2;
    default: return *one < *other ? -1 : 1;
    }
}

unsigned long fill(unsigned count, unsigned seed)
{
    struct node *root = 0;

    for (unsigned at = 0; at < count; at++) {
        seed = seed * 1664525u + 1013904223u;
        root = insert(root, seed >> 20);
    }
    return depth(root);
}
"""

SQLITE: Final = """\
import sqlite3
connection = sqlite3.connect("probe.db", isolation_level=None)
connection.execute("DROP TABLE IF EXISTS probe")
connection.execute("CREATE TABLE probe (key INTEGER PRIMARY KEY, value TEXT)")
for key in range(10):
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO probe VALUES (?, ?)", (key, "z" * 100))
    connection.execute("COMMIT")
"""


def _program(
    name: str,
    group: str,
    command: str,
    *,
    stresses: str,
    operation: str,
    extent: Extent = Extent.FULL,
    stdin: str = "",
) -> Workload:
    facts = WorkloadFacts(name=name, group=group, stresses=stresses, operation=operation)
    settings = program(command.split(), stdin=stdin)
    return Workload(facts=facts, asks="spawn", extent=extent, needs=Need.ROOT_FOLDER, settings=settings)


COMPOSITES: Final = (
    _program(
        "python-startup",
        "composite",
        "/usr/bin/python3 -IS -c pass",
        stresses="an interpreter's start: execve, the dynamic linker, some hundred small calls on files, page faults",
        operation="start",
        extent=Extent.QUICK,
    ),
    _program(
        "compile",
        "composite",
        "/usr/bin/cc -pipe -O2 -x c -c -o probe.o -",
        stresses="a compiler: three processes, pipes, memory, a small file written (70 lines of C, no header)",
        operation="compilation",
        stdin=SOURCE,
    ),
    _program(
        "sqlite",
        "composite",
        "/usr/bin/python3 -IS -",
        stresses="a data base: 10 transactions of one row on the root's file system, each synced; "
        "with Python's start",
        operation="run of 10 transactions",
        stdin=SQLITE,
    ),
)

WITNESSES: Final = (
    _program(
        "sysbench-cpu",
        "witness",
        "/usr/bin/sysbench cpu --cpu-max-prime=5000 --events=40 --time=0 --threads=1 run",
        stresses="sysbench cpu: 40 searches for the primes up to 5000",
        operation="run",
    ),
    _program(
        "sysbench-memory",
        "witness",
        "/usr/bin/sysbench memory --memory-total-size=256M --memory-block-size=1M --time=0 --threads=1 run",
        stresses="sysbench memory: 256 MiB written in blocks of one",
        operation="run",
    ),
    _program(
        "stress-ng",
        "witness",
        "/usr/bin/stress-ng --cpu 1 --cpu-method int64 --cpu-ops 2 --seed 1 --temp-path . --quiet",
        stresses="stress-ng: 2 rounds of its mix of 64-bit integers",
        operation="run",
    ),
    _program(
        "fio",
        "witness",
        (
            "/usr/bin/fio --name=probe --filename=probe.data --size=4M --rw=randrw --bs=4k --ioengine=psync "
            "--randseed=1 --thread --output-format=terse"
        ),
        stresses="fio: 4 MiB of a file on the root read and written at random, by 4 KiB",
        operation="run",
    ),
    Workload(
        facts=WorkloadFacts(
            name="iperf3",
            group="witness",
            stresses="iperf3: 64 MiB sent by TCP to its own server on the host",
            operation="run",
        ),
        asks="iperf",
        extent=Extent.FULL,
        needs=Need.SERVER,
    ),
)
