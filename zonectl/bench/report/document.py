"""A run as a document of JSON, and back."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, cast

import zonectl
from zonectl.bench.report.reading import WrongValue, read_model
from zonectl.bench.results import SCHEMA_VERSION, Run
from zonectl.errors import Damaged
from zonectl.store import documents

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zonectl.bench.results import ArmFacts, Series

WRITER = "written_by"
"""The key beside a run's own: the version of zonectl that wrote the document."""


def dump(run: Run) -> str:
    """The run as JSON: ASCII, a line for each arm, workload and series."""
    # schema_version first, for people and for `file`.
    values = {"schema_version": run.schema_version, WRITER: zonectl.__version__, **dataclasses.asdict(run)}
    members = [f" {json.dumps(key)}: {_value(value)}" for key, value in values.items()]
    return "{\n" + ",\n".join(members) + "\n}\n"


def load(text: str, name: str = "the document") -> Run:
    """The run that a document holds; `name` is what messages call it.

    Raises:
        StoreError: it was written by a newer zonectl; or (Damaged) it is no such document, with where it is wrong.

    """
    values = documents.parse(name, text, SCHEMA_VERSION)
    values.pop(WRITER, None)
    try:
        run = cast("Run", read_model(Run, values, ""))
        _verify(run)
    except (WrongValue, RecursionError) as error:
        raise Damaged(f"{name} is damaged: {error}") from error
    return run


def _value(value: object) -> str:
    if isinstance(value, tuple) and value:
        items = ",\n  ".join(json.dumps(item, allow_nan=False) for item in value)
        return f"[\n  {items}\n ]"
    return json.dumps(value, allow_nan=False)


# What types cannot say, and what tables and charts rely on.


def _verify(run: Run) -> None:
    arms = _unique("arms", [arm.name for arm in run.arms])
    workloads = _unique("workloads", [workload.name for workload in run.workloads])
    _unique("series", [(series.workload, series.arm) for series in run.series])
    for at, arm in enumerate(run.arms):
        if arm.after is not None and arm.after not in arms:
            raise WrongValue(f"arms[{at}].after", "one of the arms")
    for at, series in enumerate(run.series):
        if series.arm not in arms:
            raise WrongValue(f"series[{at}].arm", "one of the arms")
        if series.workload not in workloads:
            raise WrongValue(f"series[{at}].workload", "one of the workloads")
        _verify_samples(f"series[{at}]", series)
    _verify_rungs(run.arms)
    _verify_density(run)


def _unique(where: str, names: Sequence[object]) -> set[object]:
    known: set[object] = set()
    for at, name in enumerate(names):
        if name in known:
            raise WrongValue(f"{where}[{at}]", "the only one of its name")
        known.add(name)
    return known


def _verify_samples(where: str, series: Series) -> None:
    if series.loops < 1:
        raise WrongValue(f"{where}.loops", "at least 1")
    for at, samples in enumerate(series.rounds):
        if not samples:
            raise WrongValue(f"{where}.rounds[{at}]", "a list with a sample")
        _verify_positive(f"{where}.rounds[{at}]", samples)


def _verify_positive(where: str, numbers: Iterable[float]) -> None:
    for at, number in enumerate(numbers):
        if number <= 0:
            raise WrongValue(f"{where}[{at}]", "above 0")


def _verify_rungs(arms: Sequence[ArmFacts]) -> None:
    """No rung stands, by way of others, above itself."""
    below = {arm.name: arm.after for arm in arms}
    for at, arm in enumerate(arms):
        passed = {arm.name}
        rung = arm.after
        while rung is not None:
            if rung in passed:
                raise WrongValue(f"arms[{at}].after", "a rung below")
            passed.add(rung)
            rung = below[rung]


def _verify_density(run: Run) -> None:
    for at, point in enumerate(run.density):
        if point.zones < 0:
            raise WrongValue(f"density[{at}].zones", "at least 0")
