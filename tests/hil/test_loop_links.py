"""Hardware in the loop over bad links, and every way out of it: the drone is left as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fledge_hil import injected_flight, modes, parity_inputs, report, simulated_flight
from fledge_hil.board import HostBoard, build_board
from fledge_hil.client import LinkError
from fledge_hil.cockpit import Progress
from fledge_hil.impaired import ImpairedCrazyflie
from fledge_hil.injected_flight import Pace
from fledge_hil.injection import InjectionError, Mode
from fledge_hil.loop_client import LoopClient
from fledge_hil.loop_flight import LoopFlight
from fledge_hil.loop_session import LoopError
from fledge_hil.plans import Plan
from fledge_hil.settings import Settings
from fledge_hil.virtual import VirtualCrazyflie
from fledge_hil.wire import Wire
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from loop_runs import PLAN, body, compare, inject, is_free, louder

MakeDrone = Callable[..., VirtualCrazyflie]


# ---- links -----------------------------------------------------------------------------------------------------------


def lossy(policy: Policy, cache: Path, lose: float, duplicate: float, late_ms: tuple[int, int]) -> ImpairedCrazyflie:
    board = HostBoard(build_board(policy, cache).library)
    drone = ImpairedCrazyflie(robots.load(policy.contract.robot), policy.contract, board, Settings(seed=2))
    drone.link_faults.lose, drone.link_faults.duplicate, drone.link_faults.late_ms = lose, duplicate, late_ms
    return drone


def test_lockstep_flies_the_same_bits_over_a_bad_link(
    make_drone: MakeDrone, trained_policy: Policy, board_cache: Path
) -> None:
    """Lost, twice, late by up to 60 ms, so that repeated packets overtake each other: counted, and without effect."""
    clean = inject(Wire(make_drone()), trained_policy, Pace(10))
    drone = lossy(trained_policy, board_cache, 0.02, 0.05, (0, 60))
    bad = inject(Wire(drone), trained_policy, Pace(10))
    assert bad.log.aborted == ""
    motion = slice(0, 18)  # but for the counters, which the log's own packets bring
    assert bad.log.table[:, motion].tobytes() == clean.log.table[:, motion].tobytes()
    assert bad.traffic.repeated > 20
    assert bad.traffic.duplicates > 20
    assert bad.traffic.overtaken > 0
    drone.link_faults.lose, drone.link_faults.duplicate, drone.link_faults.late_ms = 0.0, 0.0, (0, 0)
    assert is_free(drone)


def test_parity_holds_over_a_bad_link(trained_policy: Policy, board_cache: Path) -> None:
    drone = lossy(trained_policy, board_cache, 0.02, 0.05, (0, 60))
    found = compare(drone, trained_policy, board_cache, 300)
    assert found.reasons == ()
    assert found.ticks == 300
    assert found.traffic.repeated > 5


def test_free_run_counts_what_was_lost_and_overtaken(trained_policy: Policy, board_cache: Path) -> None:
    drone = lossy(trained_policy, board_cache, 0.05, 0.05, (0, 12))
    flown = inject(Wire(drone), trained_policy, Pace(5, free_run=True))
    assert flown.log.aborted == ""
    assert flown.traffic.unanswered > 20
    assert flown.traffic.duplicates > 10
    assert flown.traffic.overtaken > 10
    assert len(flown.answers) > 300
    assert min(flown.round_trips) >= 0


class Mute(Wire):
    """Falls silent after so many packets on the app channel, for so many milliseconds."""

    after, silent_ms = 600, 3000
    _sent, _since = 0, -1

    @property
    def silent(self) -> bool:
        return self._since >= 0 and self.drone.time_ms - self._since < self.silent_ms

    def send(self, port: int, channel: int, payload: bytes) -> None:
        self._sent += (port, channel) == (13, 2)
        if self._sent > self.after and self._since < 0:
            self._since = self.drone.time_ms
        if not self.silent:
            super().send(port, channel, payload)

    def _receive(self, seconds: float) -> tuple[int, int, bytes] | None:
        packet = super()._receive(seconds)
        return None if self.silent else packet


RUNS: dict[str, Callable[[Wire, Policy], LoopFlight]] = {
    "injected": inject,
    "free-run": lambda client, policy: inject(client, policy, Pace(10, free_run=True)),
    "in-hardware": lambda client, policy: simulated_flight.fly(client, policy.contract, PLAN),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_link_that_breaks_ends_the_run_and_the_loop_is_left_when_it_returns(
    name: str, drone: VirtualCrazyflie, trained_policy: Policy
) -> None:
    client = Mute(drone)
    client.after = 600 if name == "injected" else 10 if name == "in-hardware" else 200
    flown = RUNS[name](client, trained_policy)
    assert "did not answer" in flown.log.aborted or "no log data" in flown.log.aborted
    assert flown.left
    assert is_free(drone)


def test_a_link_that_stays_away_is_told(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    client = Mute(drone)
    client.silent_ms = 10**9
    flown = inject(client, trained_policy)
    assert not flown.left
    assert drone.time_ms < 60_000
    unsafe = tuple(modes.loop_flight.reasons(flown.armed, flown.left))
    made = report.Report("run", trained_policy, flown.log, flown.recording, unsafe=unsafe)
    assert any("did not confirm that it left the loop" in reason for reason in report.find(made).verdict.reasons)


# ---- every way out ---------------------------------------------------------------------------------------------------


def interrupt(now: Progress) -> None:
    if now.phase == "hover":
        raise KeyboardInterrupt


def test_ctrl_c_leaves_the_loop_and_keeps_what_was_flown(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    flown = inject(Wire(drone), trained_policy, progress=interrupt)
    assert flown.log.aborted == "interrupted"
    assert len(flown.log.table) > 100
    assert is_free(drone)


def test_a_second_ctrl_c_while_leaving_still_asks_the_device_to_leave(
    drone: VirtualCrazyflie, trained_policy: Policy
) -> None:
    class Impatient(Wire):
        patience = True

        def set_parameter(self, name: str, value: float) -> None:
            if not self.patience:
                raise KeyboardInterrupt
            super().set_parameter(name, value)

    client = Impatient(drone)

    def twice(now: Progress) -> None:
        if now.phase == "hover":
            client.patience = False
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inject(client, trained_policy, progress=twice)
    assert is_free(drone)


def test_ctrl_c_in_simulation_leaves_the_loop(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    flown = simulated_flight.fly(Wire(drone), trained_policy.contract, PLAN, interrupt)
    assert flown.log.aborted == "interrupted"
    assert [phase.name for phase in flown.log.phases] == ["take-off", "settle", "hover"]
    assert is_free(drone)


def test_ctrl_c_in_a_comparison_leaves_the_loop(
    drone: VirtualCrazyflie, trained_policy: Policy, board_cache: Path
) -> None:
    def stop(_: float) -> None:
        raise KeyboardInterrupt

    found = compare(drone, trained_policy, board_cache, 500, stop)
    assert "the comparison ended early: interrupted" in found.reasons
    assert is_free(drone)


def test_any_other_exception_leaves_the_loop(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    def fail(_: Progress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        inject(Wire(drone), trained_policy, progress=fail)
    assert is_free(drone)


def test_an_armed_drone_is_refused_untouched(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    client = Wire(drone)
    for _ in range(50):
        drone.step_ms()
    assert drone.arm(True)
    with pytest.raises(LoopError, match="is armed: disarm it first"):
        inject(client, trained_policy)
    assert drone.supervisor.armed


def test_another_contract_is_refused(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    other = louder(trained_policy)
    with pytest.raises(LoopError, match=f"runs contract {trained_policy.contract.hash32:08x}.*mode parity"):
        inject(Wire(drone), other)
    with pytest.raises(LoopError, match="runs contract"):
        simulated_flight.fly(Wire(drone), other.contract, PLAN)
    assert is_free(drone)


def test_plans_that_need_a_flight_and_periods_that_do_not_exist_are_refused(
    drone: VirtualCrazyflie, trained_policy: Policy
) -> None:
    with pytest.raises(FledgeError, match="in the loop choose hover, figure8, waypoints"):
        injected_flight.fly(Wire(drone), trained_policy.contract, Plan(kind="recover"), body(trained_policy), Pace())
    with pytest.raises(FledgeError, match="choose 1 to 20"):
        Pace(21)
    with pytest.raises(FledgeError, match="at least 2"):
        parity_inputs.generated(1, 0)


def test_a_device_that_knows_no_such_packet_is_one_sentence(drone: VirtualCrazyflie, trained_policy: Policy) -> None:
    with pytest.raises(InjectionError, match=r"names another mode; set it while disarmed"):
        LoopClient(Wire(drone)).aim((0.0, 0.0, 1.0))
    client = Mute(drone)
    client.after = 0
    with pytest.raises(LinkError, match="did not answer"):
        LoopClient(client).aim((0.0, 0.0, 1.0))
    assert drone.parameters["fledge.hil"].value == Mode.OFF
