"""The figures that other people's benchmarks print are read as what they are."""

from __future__ import annotations

import pytest

from tools import bench_witness

SAID = {
    "sysbench cpu": ("CPU speed:\n    events per second:  7054.05\n\n    95th percentile:  0.12\n", 7054.05),
    "sysbench memory": ("10856.00 MiB transferred (10824.57 MiB/sec)\n", 10824.57),
    "stress-ng --cpu": (
        (
            "stress-ng: metrc: [28849] stressor       bogo ops real time  usr time  sys time   bogo ops/s\n"
            "stress-ng: metrc: [28849]                           (secs)    (secs)    (secs)   (real time)\n"
            "stress-ng: metrc: [28849] cpu                1224      1.05      0.54      0.00      1169.10   2248.65\n"
        ),
        1169.10,
    ),
    "fio randrw": (
        'note: both iodepth >= 1\n{"jobs": [{"read": {"iops": 100.5}, "write": {"iops": 99.5}}]}',
        200.0,
    ),
    "iperf3": (
        '{"end": {"sum_sent": {"bits_per_second": 2e9}, "sum_received": {"bits_per_second": 1.5e9}}}',
        1.5e9,
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_a_program_s_figure(name: str) -> None:
    said, figure = SAID[name]
    (witness,) = (each for each in bench_witness.witnesses(1) if each.name == name)
    assert witness.figure(said) == figure


def test_what_has_no_figure_ends_the_benchmark() -> None:
    with pytest.raises(SystemExit, match="no figure"):
        bench_witness.matched("([0-9]+)")("none")


def test_a_slower_zone_is_a_loss() -> None:
    (witness,) = (each for each in bench_witness.witnesses(1) if each.name == "iperf3")
    witness.rates = {
        "bare": [[100.0 + step / 10] for step in range(8)],
        "zone": [[50.0 + step / 20] for step in range(8)],
        "control": [[100.0 + step / 10] for step in range(8)],
    }
    assert "| +100.0 (+100.0 to +100.0) |" in bench_witness.told(witness)
    assert "above 3 %" in bench_witness.told(witness)
