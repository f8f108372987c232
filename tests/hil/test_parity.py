"""Open-loop parity: a device that does what the C says passes, and one that does not is told its first tick."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_export.layout import pack
from fledge_hil import modes, parity, parity_inputs, pilot, report, tick_log
from fledge_hil.board import EmulatedBoard, Guard, HostBoard, build_board
from fledge_hil.flight_log import FILE, save
from fledge_hil.mcu import FLASH, FLASH_SIZE
from fledge_hil.rig import VirtualDrone
from fledge_hil.virtual import VirtualCrazyflie
from fledge_hil.wire import Wire
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from loop_runs import PLAN, compare, empty, is_free, louder, rig

MakeDrone = Callable[..., VirtualCrazyflie]


def poked(policy: Policy, cache: Path) -> tuple[VirtualCrazyflie, int]:
    """One weight differs by its last bit, in flash and since power-on: same contract, its self-test passed.

    It is the output bias of the motor also returned, from 1 on: the largest, of which most sums keep the last bit.
    """
    board = EmulatedBoard(build_board(policy, cache).elf)
    drone = VirtualCrazyflie(robots.load(policy.contract.robot), policy.contract, board)
    motor = int(np.abs(policy.weights["output.bias"]).argmax())
    weight = policy.weights["output.bias"][motor]
    place = board._mcu.read_at(FLASH, FLASH_SIZE).find(pack(policy).values.astype("<f4").tobytes())
    place += list(pack(policy).values).index(weight) * 4
    board._mcu.write_at(FLASH + place, np.nextafter(weight, np.float32(9)).tobytes())
    return drone, motor + 1


def test_a_weight_that_differs_by_its_last_bit_is_found_and_the_tick_named(
    trained_policy: Policy, board_cache: Path
) -> None:
    drone, motor = poked(trained_policy, board_cache)
    assert drone.self_test_passed
    assert drone.output.contract_hash == trained_policy.contract.hash32
    found = compare(drone, trained_policy, board_cache, 600)
    assert found.first is not None
    assert found.first.field == f"motor {motor} [1]"
    assert 0 < abs(found.first.device - found.first.host) < 1e-5
    assert 0 < found.different < found.ticks
    where = f"tick {found.first.tick} is the first that differs, motor {motor} [1]: device 0."
    assert found.reasons[0].startswith(where)
    assert np.flatnonzero(np.nan_to_num(found.differences))[0] == found.first.tick
    assert is_free(drone)


def test_a_bit_that_was_flipped_before_power_on_fails_self_test_and_parity(
    trained_policy: Policy, board_cache: Path, tmp_path: Path
) -> None:
    """On the host's processor: the guard holds the policy back from the first tick on."""
    image = bytearray(build_board(trained_policy, board_cache).library.read_bytes())
    image[image.find(pack(trained_policy).values.astype("<f4").tobytes()) + 400] ^= 1
    (tmp_path / "flipped.so").write_bytes(image)
    board = HostBoard(tmp_path / "flipped.so")
    found = compare(
        VirtualCrazyflie(robots.load("crazyflie"), trained_policy.contract, board), trained_policy, board_cache, 50
    )
    assert found.first is not None
    assert (found.first.tick, found.first.field, found.first.device) == (0, "guard", Guard.SELF_TEST)
    assert "the policy on the device failed its self-test" in found.reasons


def test_another_contract_is_told_beside_the_first_tick(
    trained_policy: Policy, board_cache: Path, tmp_path: Path
) -> None:
    """The comparison goes on, since the question is where they part."""
    (drone, _), contract = poked(trained_policy, board_cache), louder(trained_policy).contract
    library, inputs = build_board(trained_policy, board_cache).library, parity_inputs.generated(600, 3)
    found = parity.compare(Wire(drone), contract, library, inputs, 1, "random")
    first, second = found.reasons
    assert "is the first that differs" in first
    assert second == f"the device runs contract {trained_policy.contract.hash32:08x}, not {contract.hash32:08x}"
    made = report.Report("run", trained_policy, empty(), mode="parity", parity=found)
    findings = report.write(tmp_path, made)
    assert findings.verdict.reasons == found.reasons
    page = (tmp_path / report.HTML).read_text(encoding="utf-8")
    assert page.index("Failed:") < page.index("is the first that differs") < page.index("<section>")


def test_guards_are_compared_too(make_drone: MakeDrone, trained_policy: Policy, board_cache: Path) -> None:
    """Generated runs end with what no drone can fly: not one answer of the C may be missed."""
    found = compare(make_drone(), trained_policy, board_cache, 250 * len(parity_inputs.EDGES))
    assert found.reasons == ()
    assert found.ticks - found.flown == len(parity_inputs.EDGES) - 1  # a low battery only forbids to take over
    assert {answer.guard for answer in found.answers} == {
        Guard.OK,
        Guard.NOT_FINITE,
        Guard.QUATERNION,
        Guard.POSITION_ERROR,
        Guard.ANGULAR_VELOCITY,
        Guard.STALE_STATE,
    }


@pytest.mark.parametrize("source", [tick_log.FILE, FILE])
def test_a_recorded_flight_is_fed_again(source: str, trained_policy: Policy, board_cache: Path, tmp_path: Path) -> None:
    drone, logged = VirtualDrone("host", seed=4, ticks=True, cache=board_cache).build(trained_policy)
    log = pilot.fly_over(Wire(drone), trained_policy, PLAN)
    assert logged is not None
    tick_log.save(logged.log, tmp_path / tick_log.FILE)
    save(log, tmp_path / FILE)
    what = rig(trained_policy, "parity", board_cache, inputs=tmp_path / source, ticks=1500)
    found = modes.run(what, "run").parity
    assert found is not None
    assert found.reasons == ()
    assert found.ticks == found.flown == (1500 if source == tick_log.FILE else 150)


def test_a_log_in_which_the_policy_never_flew_is_refused(trained_policy: Policy, tmp_path: Path) -> None:
    save(empty(), tmp_path / FILE)
    with pytest.raises(FledgeError, match="no tick in which the policy flew"):
        parity_inputs.recorded(tmp_path / FILE, 100)
