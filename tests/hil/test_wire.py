"""The in-process client, every kind of plan on it, and what the pilot does when things go wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_hil import flight_log, pilot
from fledge_hil.client import LinkError
from fledge_hil.cockpit import FENCE_MARGIN, Progress
from fledge_hil.flight_log import FlightLog
from fledge_hil.pilot import RefusedError
from fledge_hil.plans import Kind, Plan
from fledge_hil.scores import score
from fledge_hil.verdict import Limits, judge
from fledge_hil.virtual import VirtualCrazyflie
from fledge_hil.wire import Wire
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

MakeDrone = Callable[..., VirtualCrazyflie]
SHORT = Plan(kind="hover", height=0.5, hover_seconds=2.5, climb_seconds=1.5, settle_seconds=0.5)


def is_down(drone: VirtualCrazyflie) -> bool:
    return drone.plant.truth[2] < 0.03 and not drone.supervisor.armed


def during(phase: str, action: Callable[[], None]) -> Callable[[Progress], None]:
    """Progress callback that acts once, when a phase begins."""
    pending = [action]

    def progress(now: Progress) -> None:
        if now.phase == phase and pending:
            pending.pop()()

    return progress


class Faulty(Wire):
    """Loses what it is told to lose."""

    silent = False
    lose: Callable[[int, int, bytes], bool] = staticmethod(lambda *_: False)

    def send(self, port: int, channel: int, payload: bytes) -> None:
        if not self.silent and not self.lose(port, channel, payload):
            super().send(port, channel, payload)

    def _receive(self, seconds: float) -> tuple[int, int, bytes] | None:
        packet = super()._receive(seconds)
        return None if self.silent else packet


@pytest.mark.parametrize("kind", ["figure8", "waypoints", "recover", "handover", "soak"])
def test_every_plan_passes(make_drone: MakeDrone, trained_policy: Policy, kind: Kind) -> None:
    plan = dataclasses.replace(SHORT, kind=kind, laps=1.0, handovers=2, throws=2, duration=6.0)
    drone = make_drone(seed=3)
    log = pilot.fly_over(Wire(drone), trained_policy, plan)
    scores = score(log, drone.recorder.recording)
    verdict = judge(log, scores, trained_policy.contract.sha256, Limits(), plan.judged)
    assert verdict.reasons == ()
    assert is_down(drone)
    assert abs(log.device_seconds - plan.seconds) < 3.0


def test_a_recovery_begins_tilted_and_moving(make_drone: MakeDrone, trained_policy: Policy) -> None:
    drone = make_drone()
    log = pilot.fly_over(Wire(drone), trained_policy, dataclasses.replace(SHORT, kind="recover", throws=1))
    start = np.flatnonzero(log.during("recover"))[0]
    speed = np.linalg.norm(log.column("vx", "vy", "vz")[start])
    assert speed > 0.7
    assert log.column("mode")[start, 0] == 1


def test_same_seeds_same_bytes(make_drone: MakeDrone, trained_policy: Policy, tmp_path: Path) -> None:
    files = []
    for run in range(2):
        drone = make_drone(seed=5)
        log = pilot.fly_over(Wire(drone), trained_policy, dataclasses.replace(SHORT, kind="soak", duration=5.0))
        flight_log.save(log, tmp_path / f"{run}.csv.gz")
        files.append(((tmp_path / f"{run}.csv.gz").read_bytes(), drone.recorder.content))
    assert files[0] == files[1]


# ---- before arming ---------------------------------------------------------------------------------------------------


def refusal(drone: VirtualCrazyflie, policy: Policy, client: Wire | None = None) -> str:
    with pytest.raises(RefusedError) as caught:
        pilot.fly_over(client or Wire(drone), policy, SHORT)
    assert not any(drone.recorder.recording["fraction_1"])
    return str(caught.value)


def test_an_uncertain_estimator_is_refused(make_drone: MakeDrone, trained_policy: Policy) -> None:
    assert "uncertain (10.00 m)" in refusal(make_drone(decks=("bcFlow2",)), trained_policy)


def test_an_estimate_that_wanders_on_the_ground_is_refused(make_drone: MakeDrone, trained_policy: Policy) -> None:
    assert "moves on the ground" in refusal(make_drone(noise_scale=60.0), trained_policy)


def test_a_tilted_drone_is_refused(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    drone.plant.state[3:7, 0] = (np.cos(0.2), np.sin(0.2), 0.0, 0.0)
    drone.plant.state[2] = 1.0  # falls freely, tilted, during the checks
    assert "tilted by 1" in refusal(drone, trained_policy)


def test_a_link_that_loses_echoes_is_refused(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    client = Faulty(drone)
    client.lose = lambda port, channel, payload: port == 15 and payload[-1] % 2 == 0
    assert "5 of 10 echoes were lost" in refusal(drone, trained_policy, client)


# ---- in flight -------------------------------------------------------------------------------------------------------


def fly(
    drone: VirtualCrazyflie, policy: Policy, phase: str, action: Callable[[], None], **changes: object
) -> FlightLog:
    plan = dataclasses.replace(SHORT, hover_seconds=20.0, **changes)  # type: ignore[arg-type]
    return pilot.fly_over(Wire(drone), policy, plan, during(phase, action))


def test_outside_the_fence_the_drone_lands(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    plan = dataclasses.replace(SHORT, hover_seconds=20.0, fence=0.5)
    client = Wire(drone)
    log = pilot.fly_over(client, trained_policy, plan, during("hover", lambda: client.go_to((0.8, 0.0, 0.5), 0.0, 2.0)))
    assert "left its fence" in log.aborted
    assert is_down(drone)
    assert drone.supervisor.state.name != "LOCKED"


def test_far_outside_the_fence_the_motors_stop(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    def away() -> None:
        drone.plant.state[0] += 2 + FENCE_MARGIN

    log = fly(drone, trained_policy, "hover", away, fence=1.9)
    assert "outside its fence" in log.aborted or "guard" in log.aborted
    assert drone.supervisor.state.name == "LOCKED"


def test_a_second_interrupt_stops_the_motors(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    def progress(now: Progress) -> None:
        if now.phase in ("hover", "emergency landing"):
            raise KeyboardInterrupt

    log = pilot.fly_over(Wire(drone), trained_policy, SHORT, progress)
    assert log.aborted == "interrupted"
    assert drone.supervisor.state.name == "LOCKED"


def test_lost_answers_are_asked_for_again(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    client = Faulty(drone)
    seen: set[bytes] = set()

    def every_first(port: int, channel: int, payload: bytes) -> bool:
        if port == 15 or (port, channel, payload) in seen:
            return False
        seen.add((port, channel, payload))  # type: ignore[arg-type]
        return True

    client.lose = every_first
    log = pilot.fly_over(client, trained_policy, SHORT)
    assert log.aborted == ""
    assert is_down(drone)


def test_a_dead_link_ends_in_a_landing_by_heartbeat(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    client = Faulty(drone)
    plan = dataclasses.replace(SHORT, hover_seconds=20.0)

    def cut() -> None:
        client.silent = True

    log = pilot.fly_over(client, trained_policy, plan, during("hover", cut))
    assert "no log data" in log.aborted
    assert drone.plant.truth[2] < 0.03
    assert not any(drone.fractions)


def test_one_flight_follows_another_however_long_the_pause(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    """The heartbeat of the first is no reason to land in the second."""
    for pause_ms in (3000, 0):
        assert pilot.fly_over(Wire(drone), trained_policy, SHORT).aborted == ""
        assert drone.parameters["fledge.heartbeat"].value == 0
        for _ in range(pause_ms):
            drone.step_ms()


def test_a_pilot_who_was_lost_on_the_ground_does_not_end_the_next_flight(drone: VirtualCrazyflie) -> None:
    client = Wire(drone)
    client.set_parameter("fledge.heartbeat", 100)
    for _ in range(300):
        drone.step_ms()
    assert drone.arm(True)
    for _ in range(300):
        assert b"heartbeat" not in b"".join(drone.step_ms())
    assert drone.supervisor.armed


def test_a_link_that_returns_is_used_to_land(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    client = Faulty(drone)
    plan = dataclasses.replace(SHORT, hover_seconds=20.0)
    cut_at: list[int] = []

    def cut() -> None:
        cut_at.append(drone.time_ms)
        client.lose = lambda *_: drone.time_ms - cut_at[0] < 3500

    client.__class__ = type(
        "Gap", (Faulty,), {"silent": property(lambda self: bool(cut_at) and drone.time_ms - cut_at[0] < 3500)}
    )
    log = pilot.fly_over(client, trained_policy, plan, during("hover", cut))
    assert "no log data" in log.aborted
    assert is_down(drone)  # disarmed by the pilot: the supervisor itself would wait


def test_a_silent_drone_is_one_sentence_in_bounded_time(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    client = Faulty(drone)
    client.silent = True
    with pytest.raises(LinkError, match="did not answer"):
        pilot.fly_over(client, trained_policy, SHORT)
    assert drone.time_ms < 5000


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"points": "1,2"}, "three numbers"),
        ({"points": "a,b,c"}, "not numbers"),
        ({"kind": "waypoints", "points": "9,0,1"}, "outside its own fence"),
        ({"height": 2.9}, "ceiling"),
        ({"duration": 1.0}, "it must lie in"),
    ],
)
def test_impossible_plans_are_refused(changes: dict[str, object], match: str) -> None:
    with pytest.raises(FledgeError, match=match):
        dataclasses.replace(SHORT, **changes)  # type: ignore[arg-type]
