"""The benchmark of the torch path counts steps of environments; the clock is set by hand."""

import time

import pytest
from fledge_sim import robot as robots
from fledge_sim import torch_benchmark


def test_rates_are_steps_of_environments_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter(range(1_000_000))
    monkeypatch.setattr(time, "process_time", lambda: float(next(readings)))
    crazyflie, effort = robots.load("crazyflie"), {"repetitions": 3, "duration": 4.0}
    # the clock moves on by a second per reading: one trial call takes 1 s, so 4 calls are timed, again as 1 s
    rates = torch_benchmark.benchmark_torch(crazyflie, 5, compiled=False, **effort)
    assert (rates.step, rates.environment) == (20, 20)
    rates = torch_benchmark.benchmark_native(crazyflie, 6, **effort)
    assert (rates.step, rates.environment) == (24, 24)
