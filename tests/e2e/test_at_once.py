"""Many commands at the same time, on one zone and on many."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.instance import TIMEOUT_S
from zonectl.store.locks import lock

if TYPE_CHECKING:
    from tests.e2e.instance import Zonectl

SLEEP = "exec sleep 1000000"
MANY = 200


@pytest.mark.fault(
    "two different verbs on one zone, at the same time, ten times",
    "each succeeds or says in a line why not; the state is the last one's",
)
def test_two_commands_on_one_zone(z: Zonectl) -> None:
    z.define("only", SLEEP, more='stop_timeout = "1s"\n')
    for first, second in itertools.islice(itertools.cycle([("start", "stop"), ("restart", "stop")]), 10):
        clients = [z.popen(verb, "only", stderr=subprocess.PIPE) for verb in (first, second)]
        errors = [client.communicate(timeout=TIMEOUT_S)[1] for client in clients]
        assert {client.returncode for client in clients} <= {0, 1, 3}, errors
        assert all(b"Traceback" not in error and error.count(b"\n") <= 2 for error in errors), errors
        state = z.state("only")
        assert state == ("running" if Path(f"/proc/{z.list()['only']['pid']}").exists() else "installed")
    z("delete", "-f", "only")


@pytest.mark.fault(
    "a command holds a zone's lock and does not come to an end",
    "the next one says who holds it, within the time-out; reading verbs do not wait",
)
def test_a_lock_that_is_held(z: Zonectl) -> None:
    z.define("held", SLEEP)
    with lock(str(z.run_root / "zones/held/lock"), verb="snail", zone="held", timeout_s=5):
        assert z.state("held") == "installed"
        done = z("start", "held", code=None)
        assert done.code not in {0, 125}
        assert f"snail (pid {os.getpid()})" in done.err
    z("start", "held")


@pytest.mark.timeout(400)
@pytest.mark.fault(
    "200 zones are started at the same time, by a client each",
    "all run, with addresses and ids of their own; all are deleted, and nothing is left",
)
def test_two_hundred_starts_at_once(z: Zonectl) -> None:
    names = [f"z{number}" for number in range(MANY)]
    text = 'name = "{name}"\ncommand = ["/bin/sleep", "1000000"]\nroot = {{ image = "busybox" }}\n'
    z("create", *(z.write(name, text.format(name=name)) for name in names), timeout=300)
    clients = [z.popen("start", name, stderr=subprocess.PIPE) for name in names]
    errors = [client.communicate(timeout=300)[1] for client in clients]
    assert [client.returncode for client in clients] == [0] * MANY, set(errors)
    zones = z.list()
    assert {zone["state"] for zone in zones.values()} == {"running"}
    for key in ("pid", "address", "id"):
        assert len({zone[key] for zone in zones.values()}) == MANY
    records = [
        json.loads((z.root / "zones" / name / "record.json").read_text(encoding="utf-8")) for name in names
    ]
    assert len({record["ids"]["first"] for record in records}) == MANY
    z("delete", "--all", "-f", timeout=300)
    assert z.list() == {}
