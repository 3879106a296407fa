from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.config.strategies import configs
from zonectl.config import dumps, parse
from zonectl.config.quantities import Period, Size
from zonectl.config.writing import value_text
from zonectl.model.config import NetworkConfig, ZoneConfig

MINIMAL = 'name = "web"\n[root]\nimage = "busybox"\n'


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(configs())
def test_what_is_written_is_read_back(config: ZoneConfig) -> None:
    assert parse(dumps(config), file="zone.toml", folder="/nowhere") == config


def test_writing_is_canonical() -> None:
    once = dumps(parse(MINIMAL, file="zone.toml", folder="/"))
    assert dumps(parse(once, file="zone.toml", folder="/")) == once


def test_defaults_are_written_and_what_is_absent_is_not() -> None:
    text = dumps(parse(MINIMAL, file="zone.toml", folder="/"))
    assert 'hostname = "web"\n' in text
    assert 'cpu_period = "100ms"\n' in text
    assert "memory" not in text
    assert "depends_on" not in text
    assert text.startswith("name = ")


def test_an_address_is_written_with_its_prefix() -> None:
    config = parse(MINIMAL, file="zone.toml", folder="/")
    network = NetworkConfig(address=ipaddress.ip_interface("10.77.0.9/16"))
    assert 'address = "10.77.0.9/16"\n' in dumps(replace(config, network=network))


@given(st.integers(0, 2**63 - 1))
def test_sizes_round_trip(size: int) -> None:
    assert Size().read(value_text(Size(), size).strip('"')) == size


@pytest.mark.parametrize(("period_us", "text"), [(1000, "1ms"), (50_500, "50.5ms"), (100_001, "100.001ms")])
def test_periods_keep_their_microseconds(period_us: int, text: str) -> None:
    period = Period(least_us=1000, most_us=1_000_000)
    assert value_text(period, period_us) == f'"{text}"'
    assert period.read(text) == period_us
