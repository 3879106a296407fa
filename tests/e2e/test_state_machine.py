"""The verbs against a model, in whatever order: what each answers, and what the kernel says afterwards."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.e2e.conftest import instance
from tests.patience import until
from tests.requirements import cgroup2_mount

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.e2e.instance import Zonectl

ABSENT, INSTALLED, READY, RUNNING, PAUSED = "absent", "installed", "ready", "running", "paused"
DONE, WRONG_STATE, NO_SUCH_ZONE = 0, 3, 4

TRANSITIONS: dict[str, dict[str, str]] = {
    "create": {ABSENT: INSTALLED},
    "ready": {INSTALLED: READY},
    "start": {INSTALLED: RUNNING, READY: RUNNING},
    "restart": {INSTALLED: RUNNING, READY: RUNNING, RUNNING: RUNNING, PAUSED: RUNNING},
    "stop": {READY: INSTALLED, RUNNING: INSTALLED, PAUSED: INSTALLED},
    "pause": {RUNNING: PAUSED},
    "resume": {PAUSED: RUNNING},
    "delete": {INSTALLED: ABSENT},
    "delete -f": {INSTALLED: ABSENT, READY: ABSENT, RUNNING: ABSENT, PAUSED: ABSENT},
}
"""Where each verb leads from each state in which it may begin; everywhere else it is refused."""

NAMES = ("one", "two")
names = st.sampled_from(NAMES)


class Verbs(RuleBasedStateMachine):
    """Two zones of one instance. `states` is the model; the zones' inits are the kernel's."""

    images: Path
    folders: pytest.TempPathFactory

    @initialize()
    def begin(self) -> None:
        self.context: AbstractContextManager[Zonectl] = instance(self.folders.mktemp("machine"), self.images)
        self.z = self.context.__enter__()
        self.states = dict.fromkeys(NAMES, ABSENT)
        self.inits: dict[str, int] = {}

    @rule(name=names, verb=st.sampled_from(sorted(TRANSITIONS)))
    def verb(self, name: str, verb: str) -> None:
        before = self.states[name]
        after = TRANSITIONS[verb].get(before)
        words = ["create", self._file(name)] if verb == "create" else [*verb.split(), name]
        if verb == "delete":
            words = ["delete", "-f", name] if before in {ABSENT, INSTALLED} else []
        if not words:  # it would ask, and there is no terminal
            return
        done = self.z(*words, code=None)
        if after is not None:
            assert done.code == DONE, (verb, before, done.err)
            self.states[name] = after
        elif before == ABSENT:
            assert done.code == NO_SUCH_ZONE, (verb, done.err)
        else:
            assert done.code == WRONG_STATE, (verb, before, done.err)
            assert done.err, "a refusal says why"

    @rule(name=names)
    def exec(self, name: str) -> None:
        state = self.states[name]
        done = self.z("exec", name, "--", "sh", "-c", "exit 7", code=None)
        assert done.code == (7 if state == RUNNING else 125), (state, done.err)

    @rule(name=names)
    def kill(self, name: str) -> None:
        state = self.states[name]
        done = self.z("kill", "-s", "KILL", name, code=None)
        if state == ABSENT:
            assert done.code == NO_SUCH_ZONE
        elif state == INSTALLED:
            assert done.code == WRONG_STATE
        else:
            assert done.code == DONE, done.err
            self.z("wait", name, code=None)
            self.states[name] = INSTALLED

    @rule()
    def zoned_is_killed(self) -> None:
        """A zone outlives its zoned, and the next command finds it as it was."""
        if pid := self.z.zoned():
            os.kill(pid, signal.SIGKILL)
            until(lambda: not self.z.zoned())

    @invariant()
    def what_is_said_is_so(self) -> None:
        if not hasattr(self, "z"):
            return
        listed = self.z.list()
        assert {name: zone["state"] for name, zone in listed.items()} == {
            name: state for name, state in self.states.items() if state != ABSENT
        }
        groups = self._groups()
        for name, zone in listed.items():
            up = self.states[name] in {READY, RUNNING, PAUSED}
            assert Path(f"/proc/{zone['pid']}").exists() if up else not zone["pid"]
            assert (zone["id"] in groups) == up, (name, self.states[name], groups)
        assert len(groups) == sum(state in {READY, RUNNING, PAUSED} for state in self.states.values())

    def teardown(self) -> None:
        if hasattr(self, "context"):
            self.context.__exit__(None, None, None)

    def _file(self, name: str) -> str:
        text = f'name = "{name}"\ncommand = ["/bin/sleep", "1000000"]\nroot = {{ image = "busybox" }}\n'
        return self.z.write(name, text)

    def _groups(self) -> set[str]:
        mount = cgroup2_mount()
        assert mount is not None
        base = Path(mount, f"zonectl-{self.z.mark}")
        return {path.name for path in base.iterdir() if path.is_dir()} - {"zoned"} if base.exists() else set()


@pytest.mark.timeout(600)
def test_verbs_in_any_order(busybox: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    Verbs.images, Verbs.folders = busybox, tmp_path_factory
    run_state_machine_as_test(
        Verbs,
        settings=settings(
            max_examples=8,
            stateful_step_count=20,
            deadline=None,
            # A step takes a tenth of a second: the sequence that failed tells enough, a shorter one takes minutes.
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )
