from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zonectl.daemon.restart import FIRST_DELAY_S, HEALTHY_S, LONGEST_DELAY_S, decide
from zonectl.kernel.process import ExitStatus
from zonectl.model.config import Restart

endings = st.one_of(
    st.builds(ExitStatus, status=st.integers(0, 255)),
    st.builds(ExitStatus, signal=st.integers(1, 64)),
    st.just(ExitStatus()),
)


@given(st.sampled_from(Restart), endings, st.floats(0, 1e6), st.integers(0, 10_000))
def test_never_after_a_users_stop(policy: Restart, ended: ExitStatus, ran_s: float, failures: int) -> None:
    assert decide(policy, ended, by_user=True, ran_s=ran_s, failures=failures) is None


@given(st.sampled_from(Restart), endings, st.floats(0, 1e6), st.integers(0, 10_000))
def test_pauses_stay_within_bounds(policy: Restart, ended: ExitStatus, ran_s: float, failures: int) -> None:
    decision = decide(policy, ended, by_user=False, ran_s=ran_s, failures=failures)
    if decision is not None:
        assert FIRST_DELAY_S <= decision.delay_s <= LONGEST_DELAY_S
        assert decision.failures <= failures + 1


def test_pauses_double_until_a_minute_and_begin_anew_after_a_healthy_run() -> None:
    failures, pauses = 0, []
    for _ in range(12):
        decision = decide(Restart.ALWAYS, ExitStatus(status=1), by_user=False, ran_s=0, failures=failures)
        assert decision
        failures = decision.failures
        pauses.append(decision.delay_s)
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-2:] == [60, 60]
    healthy = decide(Restart.ALWAYS, ExitStatus(status=1), by_user=False, ran_s=HEALTHY_S, failures=failures)
    assert healthy
    assert (healthy.delay_s, healthy.failures) == (0.1, 1)


def test_policies() -> None:
    def again(policy: Restart, ended: ExitStatus) -> bool:
        return decide(policy, ended, by_user=False, ran_s=1, failures=0) is not None

    good, bad, killed, unseen = ExitStatus(status=0), ExitStatus(status=2), ExitStatus(signal=9), ExitStatus()
    assert [again(Restart.NO, ended) for ended in (good, bad, killed, unseen)] == [False] * 4
    assert [again(Restart.ON_FAILURE, ended) for ended in (good, bad, killed, unseen)] == [False, *[True] * 3]
    assert [again(Restart.ALWAYS, ended) for ended in (good, bad, killed, unseen)] == [True] * 4
