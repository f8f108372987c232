"""A short soak on the emulated processor: nothing missed, nothing left, and the same again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from fledge_hil import flight_log, pilot, soak
from fledge_hil.flight_log import FlightLog, Minute, Soak
from fledge_hil.plans import Plan
from fledge_hil.rig import Processor, VirtualDrone
from fledge_hil.scores import score
from fledge_hil.verdict import Limits, judge
from fledge_hil.wire import Wire
from fledge_sim.policy import Policy

PLAN = Plan(kind="soak", duration=20.0, hover_seconds=2.5, climb_seconds=1.5, settle_seconds=0.5)
MINUTE = Minute(0.0, 60.0, 0.02, 0.05, 1.0, 0, 0, 30000, 1.0, 4.0)


def fly(policy: Policy, cache: Path, processor: Processor, **changes: object) -> FlightLog:
    drone = VirtualDrone(processor, seed=1, wind=1.0, endless=True, cache=cache).build(policy, record=False)[0]
    return pilot.fly_over(Wire(drone), policy, dataclasses.replace(PLAN, **changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def emulated(trained_policy: Policy, board_cache: Path) -> FlightLog:
    return fly(trained_policy, board_cache, "emulated")


def test_twenty_seconds_without_a_miss_or_a_guard(emulated: FlightLog, trained_policy: Policy) -> None:
    verdict = judge(emulated, score(emulated), trained_policy.contract.sha256, Limits(), PLAN.judged)
    assert verdict.reasons == ()
    assert emulated.soak is not None
    (minute,) = emulated.soak.minutes
    assert (minute.misses, minute.guards, minute.policy_share) == (0, 0, 1.0)
    assert minute.seconds == pytest.approx(20.0, abs=0.1)
    assert minute.inferences > 9000
    assert len(emulated.soak.peak_memory) == 1
    assert emulated.soak.peak_memory[0] > 10


def test_the_same_seeds_give_the_same_digest_on_either_processor(
    emulated: FlightLog, trained_policy: Policy, board_cache: Path
) -> None:
    again, other = (fly(trained_policy, board_cache, "host", soak_seed=seed) for seed in (0, 1))
    assert emulated.soak is not None
    assert again.soak is not None
    assert other.soak is not None
    assert again.soak.digest == emulated.soak.digest
    assert other.soak.digest != emulated.soak.digest


def test_a_soak_survives_its_file(emulated: FlightLog, tmp_path: Path) -> None:
    flight_log.save(emulated, tmp_path / flight_log.FILE)
    assert flight_log.load(tmp_path / flight_log.FILE).soak == emulated.soak


def test_only_the_last_minutes_are_kept(
    trained_policy: Policy, board_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fledge_hil.missions.MINUTE", 3.0)
    log = fly(trained_policy, board_cache, "host")
    assert log.soak is not None
    assert len(log.soak.minutes) >= 4
    assert log.during("hover").sum() == pytest.approx(250, abs=5)
    assert log.during("soak").sum() < 1300


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"guards": 1}, "a guard spoke in 1 rows"),
        ({"policy_share": 0.9}, "flew 90.0%"),
        ({"rmse": 0.3}, "RMSE was 30.0 cm"),
        ({"rmse": float("nan")}, "RMSE was nan"),
        ({"received": 0.1}, "only 10%"),
    ],
)
def test_every_minute_is_judged(changes: dict[str, float], match: str) -> None:
    minutes = (MINUTE, dataclasses.replace(MINUTE, **changes))  # type: ignore[arg-type]
    (reason,) = soak.reasons(Soak(minutes, ""), 0.15, 0.5)
    assert match in reason
    assert "minute 2" in reason


def test_growing_memory_fails() -> None:
    growing = Soak((MINUTE,) * 6, "", tuple(100.0 + 10 * number for number in range(6)))
    assert soak.growth(growing) == 30.0
    assert "grew by 30 MB" in next(soak.reasons(growing, 0.15, 0.5))
