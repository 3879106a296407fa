"""`make bench-start`: what starting a zone and executing in one costs, next to the peers, in one run.

Every round runs each command once, in an order that turns with the round, so that no command always follows the same
one and a drift of the machine falls on all alike. Medians with the quartiles, and the median of the ratios of each
round, are printed; nothing is asserted: a machine's mood is no test.

Each peer does as much of the job as it can; what it leaves out is printed beside it. Peers run in a private mount
namespace in which /sys/fs/cgroup is a pure cgroup2 view, so that nobody writes to controllers of version 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
ZONECTL = TOP / ".venv" / "bin" / "zonectl"
PYTHON_CLIENT = TOP / ".venv" / "libexec" / "zonectl"
SUBNET = "10.211.77.0/24"
BRIDGE = "zbench0"
ENTERED = "ZONECTL_BENCH_ENTERED"

ZONE_FILE = f"""
name = "bench"
command = ["/bin/sh", "-c", "trap 'exit 0' TERM; while true; do sleep 60 & wait $!; done"]
[root]
image = "busybox:latest"
[network]
bridge = "{BRIDGE}"
subnet = "{SUBNET}"
[process]
# Under `chrt`, as on a machine that others use, the peers' containers keep the scheduling class too.
scheduler = "inherit"
"""

WITHOUT_PROTECTION = """
[security]
seccomp = "off"
devices = "unfiltered"
unmask = ["all"]
capabilities = ["all"]
"""
"""What a start costs without them is what they cost with them."""

WIRE = """#!/bin/sh
# The network of one container, as a script of ip(8) would make it: bridge (once), veth, address, route.
set -e
case $1 in
up)
    ip netns add "$2"
    ip link add "$2" type veth peer name eth0 netns "$2"
    ip link set "$2" master {bridge} up
    ip -n "$2" addr add 10.212.77.2/24 dev eth0
    ip -n "$2" link set eth0 up
    ip -n "$2" link set lo up
    ip -n "$2" route add default via 10.212.77.1
    ;;
down)
    ip netns del "$2"
    ;;
esac
"""


@dataclass
class Contender:
    """One command that is timed, and what of the job it leaves out."""

    name: str
    argv: list[str]
    lacks: str
    times_ms: list[float] = field(default_factory=list)


def main() -> int:
    """Run the benchmark; the exit status is 0 unless a command fails."""
    options = parse_arguments()
    if os.geteuid() != 0:
        print("bench_start: must be run as root", file=sys.stderr)
        return 1
    if ENTERED not in os.environ:
        enter_private_view()
    # A benchmark that is broken off removes what it has made, too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zonectl-bench.")))
        root = busybox_root(work)
        starts = [*zonectl_runs(work, stack), *peers(work, root, stack)]
        report("run: from nothing to /bin/true and back", measure(starts, options.rounds))
        execs = [*zonectl_execs(work, stack), *peer_execs(work, root, stack)]
        report("exec: /bin/true in a running one", measure(execs, options.rounds))
        if options.json:
            Path(options.json).write_text(json.dumps(raw([*starts, *execs]), indent=1), encoding="utf-8")
    return 0


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=60, help="how often each command runs (default 60)")
    parser.add_argument("--json", metavar="FILE", help="write every sample there")
    return parser.parse_args()


def enter_private_view() -> None:
    """Execute this program again where /sys/fs/cgroup is pure cgroup2, for nobody else."""
    script = 'mount --make-rprivate / && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"'
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, *sys.argv]
    os.execvpe("unshare", argv, {**os.environ, ENTERED: "1"})  # noqa: S606 - the host's own, as root


def busybox_root(work: Path) -> Path:
    """A root for the peers, with busybox's sh, true and sleep."""
    root = work / "root"
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "usr/bin"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    for applet in ("sh", "true", "sleep"):
        (root / "bin" / applet).symlink_to("busybox")
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/:/bin/sh\n", encoding="ascii")
    return root


def quietly(*argv: str, check: bool = True) -> None:
    """Run a command for its effect; a failure ends the benchmark unless `check` is off."""
    # To a file and not a pipe, whose end would not come while something detached holds it.
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        said.seek(0)
        if check and done.returncode != 0:
            sys.exit(f"bench_start: {' '.join(argv)}: {said.read().decode(errors='replace').strip()}")


def zonectl(work: Path, *argv: str) -> list[str]:
    """The command line of zonectl, on an instance of the benchmark's own."""
    return [str(ZONECTL), "--root", str(work / "state"), "--run", str(work / "run"), *argv]


def zonectl_runs(work: Path, stack: ExitStack) -> list[Contender]:
    """What is timed of zonectl for `run`; its instance is removed with `stack`."""
    file = work / "bench.toml"
    file.write_text(ZONE_FILE, encoding="utf-8")
    stack.callback(quietly, *zonectl(work, "zoned", "stop"), check=False)
    stack.callback(quietly, *zonectl(work, "delete", "-f", "bench"), check=False)
    quietly(*zonectl(work, "image", "build", "busybox"))
    quietly(*zonectl(work, "create", str(file)))
    quietly(*zonectl(work, "start", "bench"))
    argv = zonectl(work, "run", str(file), "--", "/bin/true")
    bare = work / "bare.toml"
    bare.write_text(ZONE_FILE + WITHOUT_PROTECTION, encoding="utf-8")
    return [
        Contender("zonectl run", argv, "limits (none asked for)"),
        *in_python("zonectl run", argv),
        Contender(
            "run, bare",
            zonectl(work, "run", str(bare), "--", "/bin/true"),
            "(no filters, masks, dropped capabilities)",
        ),
    ]


def zonectl_execs(work: Path, stack: ExitStack) -> list[Contender]:
    """What is timed of zonectl for `exec`."""
    del stack
    argv = zonectl(work, "exec", "bench", "--", "/bin/true")
    return [Contender("zonectl exec", argv, ""), *in_python("zonectl exec", argv)]


def in_python(name: str, argv: list[str]) -> list[Contender]:
    """The same by the client in Python, where that in C stands before it."""
    if not PYTHON_CLIENT.exists():
        return []
    return [
        Contender(name.replace("zonectl", "python"), [str(PYTHON_CLIENT), *argv[1:]], "(client in Python)")
    ]


def peers(work: Path, root: Path, stack: ExitStack) -> list[Contender]:
    """Every peer that is installed and works here."""
    found = []
    if shutil.which("bwrap"):
        argv = [
            "bwrap",
            "--unshare-all",
            "--bind",
            str(root),
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "/bin/true",
        ]
        found.append(Contender("bubblewrap", argv, "network, overlay, id range, cgroup, init's signals"))
    for runtime in ("crun", "runc"):
        if shutil.which(runtime):
            bundle(work / runtime, root, ["/bin/true"])
            lacks = "link, address, NAT, overlay, id map" + (", cgroup" if runtime == "crun" else "")
            found.append(Contender(runtime, oci_run(runtime, work / runtime), lacks))
    if shutil.which("crun"):
        found.append(wired(work, root, stack))
    if shutil.which("systemd-nspawn"):
        # It makes groups below its own, and leaves them.
        for group in ("payload", "supervisor"):
            stack.callback(quietly, "rmdir", f"{own_group()}/{group}", check=False)
        argv = [
            "systemd-nspawn",
            "--quiet",
            "--register=no",
            "--machine=zonectl-bench",
            "--keep-unit",
            "--private-network",
            "--private-users=pick",
        ]
        argv += ["--private-users-ownership=map", "--volatile=no", "--pipe", "-D", str(root), "/bin/true"]
        found.append(Contender("systemd-nspawn", argv, "link, address, NAT, overlay"))
    if shutil.which("podman"):
        argv = [
            "podman",
            "--root",
            str(work / "podman"),
            "--runroot",
            str(work / "podman-run"),
            "--cgroup-manager",
        ]
        argv += ["cgroupfs", "run", "--rm", "--network", "none", "--cgroups", "disabled", "--runtime", "crun"]
        # Its own limits are above what a root without CAP_SYS_RESOURCE may set.
        argv += ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
        argv += ["--rootfs", str(root), "/bin/true"]
        found.append(Contender("podman", argv, "network, overlay, id map, cgroup"))
    return [peer for peer in found if works(peer)]


def own_group() -> Path:
    """The control group that this program is in, in the view that it has."""
    lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    own = next(line.removeprefix("0::/") for line in lines if line.startswith("0::"))
    return Path("/sys/fs/cgroup") / own


def oci_run(runtime: str, folder: Path) -> list[str]:
    """Run a bundle: crun with no group of its own; runc cannot do without one."""
    options = ["--cgroup-manager=disabled"] if runtime == "crun" else []
    return [
        runtime,
        *options,
        "--root",
        str(folder / "state"),
        "run",
        "--bundle",
        str(folder),
        f"bench-{runtime}",
    ]


def bundle(folder: Path, root: Path, argv: list[str], *, netns: str | None = None) -> None:
    """A bundle of the OCI runtime specification that shares `root`."""
    folder.mkdir()
    quietly("sh", "-c", f"cd '{folder}' && {'runc' if shutil.which('runc') else 'crun'} spec")
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["process"]["terminal"] = False
    config["process"]["args"] = argv
    config["process"].pop("rlimits", None)  # this root may not raise any
    config["root"] = {"path": str(root), "readonly": False}
    for namespace in config["linux"]["namespaces"]:
        if netns and namespace["type"] == "network":
            namespace["path"] = f"/run/netns/{netns}"
    path.write_text(json.dumps(config), encoding="utf-8")


def wired(work: Path, root: Path, stack: ExitStack) -> Contender:
    """crun, and the script that makes its network as a user would by hand."""
    bridge, netns = "zbench1", "zbenchc"
    quietly("ip", "link", "add", bridge, "type", "bridge")
    stack.callback(quietly, "ip", "link", "del", bridge, check=False)
    quietly("ip", "addr", "add", "10.212.77.1/24", "dev", bridge)
    quietly("ip", "link", "set", bridge, "up")
    script = work / "wire"
    script.write_text(WIRE.format(bridge=bridge), encoding="utf-8")
    bundle(work / "wired", root, ["/bin/true"], netns=netns)
    run = " ".join(oci_run("crun", work / "wired"))
    argv = ["sh", "-c", f"sh {script} up {netns} && {run}; status=$?; sh {script} down {netns}; exit $status"]
    stack.callback(quietly, "ip", "netns", "del", netns, check=False)
    return Contender("crun + ip", argv, "NAT, overlay, id map, cgroup")


def peer_execs(work: Path, root: Path, stack: ExitStack) -> list[Contender]:
    """Every peer that can execute in a running container."""
    found = []
    for runtime in ("crun", "runc"):
        if not shutil.which(runtime):
            continue
        folder = work / f"{runtime}-exec"
        bundle(folder, root, ["/bin/sleep", "3600"])
        options = ["--cgroup-manager=disabled"] if runtime == "crun" else []
        base = [runtime, *options, "--root", str(folder / "state")]
        name = f"bench-{runtime}-exec"
        quietly(*base, "run", "--detach", "--bundle", str(folder), name)
        stack.callback(quietly, *base, "delete", "--force", name, check=False)
        found.append(Contender(f"{runtime} exec", [*base, "exec", name, "/bin/true"], "id map"))
    return [peer for peer in found if works(peer)]


def works(peer: Contender) -> bool:
    """Whether the peer does its job here; says so where it does not."""
    done = subprocess.run(peer.argv, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        print(f"left out: {peer.name} fails here: {reason[0]}", file=sys.stderr)
    return done.returncode == 0


def measure(contenders: list[Contender], rounds: int) -> list[Contender]:
    """Time every contender in each round, in an order that turns with the round."""
    for turn in range(rounds + 2):
        first = turn % len(contenders)
        for contender in contenders[first:] + contenders[:first]:
            elapsed_ms = once(contender.argv)
            if turn >= 2:  # noqa: PLR2004 - two rounds to warm up
                contender.times_ms.append(elapsed_ms)
    return contenders


def once(argv: list[str]) -> float:
    """Run the command and return its wall time in milliseconds."""
    began = time.perf_counter()
    # posix_spawn: the cost of forking this interpreter must not be in the figure.
    actions = [(os.POSIX_SPAWN_OPEN, stream, "/dev/null", os.O_RDWR, 0) for stream in range(3)]
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions)
    _, status = os.waitpid(pid, 0)
    elapsed_ms = (time.perf_counter() - began) * 1000
    if status:
        sys.exit(f"bench_start: {' '.join(argv)}: status {os.waitstatus_to_exitcode(status)}")
    return elapsed_ms


def report(title: str, contenders: list[Contender]) -> None:
    """Print a table: medians, quartiles, and how many times a peer's time ours is, paired by round."""
    print(f"\n{title} ({len(contenders[0].times_ms)} rounds, ms)")
    print(f"{'':16} {'median':>8} {'p25':>8} {'p75':>8} {'zonectl is':>11}  leaves out")
    ours = contenders[0].times_ms
    for contender in contenders:
        low, median, high = statistics.quantiles(contender.times_ms, n=4)
        pairs = zip(ours, contender.times_ms, strict=True)
        ratio = statistics.median(own / other for own, other in pairs)
        mark = "" if contender is contenders[0] else f"{ratio:10.2f}x"
        print(f"{contender.name:16} {median:8.1f} {low:8.1f} {high:8.1f} {mark:>11}  {contender.lacks}")


def raw(contenders: list[Contender]) -> dict[str, object]:
    """Every sample, and what it was taken on."""
    return {
        "kernel": os.uname().release,
        "python": sys.version.split()[0],
        "samples_ms": {contender.name: contender.times_ms for contender in contenders},
    }


if __name__ == "__main__":
    sys.exit(main())
