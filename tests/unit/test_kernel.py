"""The native kernel by hand, and what it says about wrong arguments."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from fledge_sim import kernel, robot
from fledge_sim.errors import FledgeError
from fledge_sim.native import open_library
from fledge_sim.physics import Physics
from fledge_sim.rows import Parameter, State
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
PAPER = robot.load("crazyflie_paper")
HOVER = PAPER.hover_rotor_speed


def at_hover(n: int = 1) -> tuple[Float32, Float32, Float32]:
    """State, setpoint and parameters of the paper's robot, in balance."""
    return kernel.hover_state(PAPER, n), np.full((4, n), HOVER, np.float32), kernel.parameter_rows(PAPER, n)


def test_hover_stays() -> None:
    state, setpoint, parameters = at_hover()
    for _ in range(100):
        state = kernel.step(state, setpoint, parameters, 0.01)
    assert abs(state[: State.QUATERNION]).max() < 1e-4


def test_without_rotors_it_falls_as_galileo_says() -> None:
    state, setpoint, parameters = at_hover()
    state[State.ROTOR_SPEED :] = setpoint[:] = 0
    state[State.VELOCITY] = 2
    for _ in range(50):
        state = kernel.step(state, setpoint, parameters, 0.01)
    # 0.5 s: x = 2 * 0.5 = 1, z = -9.81 / 2 * 0.25 = -1.22625, v_z = -4.905
    assert state[:3, 0] == pytest.approx([1, 0, -1.22625], abs=1e-5)
    assert state[State.VELOCITY + 2, 0] == pytest.approx(-4.905, rel=1e-6)


def test_rotor_speed_follows_the_exponential_of_its_lag() -> None:
    state, setpoint, parameters = at_hover()
    state[State.ROTOR_SPEED :] = 1000
    setpoint[:] = 2000
    for _ in range(15):
        state = kernel.step(state, setpoint, parameters, 0.01)
    # after one time constant, 0.15 s: 2000 - 1000 / e = 1632.12
    assert state[State.ROTOR_SPEED :, 0] == pytest.approx([1632.12] * 4, rel=1e-5)


def test_rise_and_fall_have_their_own_lag() -> None:
    state, setpoint, parameters = at_hover()
    parameters[Parameter.LAG_RISE_INVERSE] = 10
    parameters[Parameter.LAG_FALL_INVERSE] = 5
    state[State.ROTOR_SPEED :] = 1000
    setpoint[:, 0] = [2000, 0, 2000, 0]
    state = kernel.step(state, setpoint, parameters, 0.01)
    # rise: 2000 - 1000 exp(-0.1) = 1095.163; fall: 1000 exp(-0.05) = 951.229
    assert state[State.ROTOR_SPEED :, 0] == pytest.approx([1095.163, 951.229, 1095.163, 951.229], rel=1e-6)


@pytest.mark.parametrize(
    ("faster", "axis", "sign"),
    [
        ((2, 3), 0, +1),  # left rotors M3 M4 lift the left side: roll about +x
        ((1, 2), 1, +1),  # back rotors M2 M3 push the nose down: pitch about +y
        ((1, 3), 2, +1),  # M2 M4 react about +z: yaw to the left
    ],
)
def test_differences_of_thrust_turn_the_right_way(faster: tuple[int, int], axis: int, sign: int) -> None:
    state, setpoint, parameters = at_hover()
    setpoint[list(faster)] += 50
    setpoint[[i for i in range(4) if i not in faster]] -= 50
    turn = kernel.step(state, setpoint, parameters, 0.01)[State.ANGULAR_VELOCITY : State.ROTOR_SPEED, 0]
    assert sign * turn[axis] > 0.001
    assert abs(np.delete(turn, axis)).max() < 0.01 * abs(turn[axis])


def test_pitching_forward_accelerates_forward() -> None:
    state, setpoint, parameters = at_hover()
    state[State.QUATERNION : State.VELOCITY, 0] = [np.cos(0.1), 0, np.sin(0.1), 0]  # nose down by 0.2 rad
    velocity = kernel.step(state, setpoint, parameters, 0.01)[State.VELOCITY : State.ANGULAR_VELOCITY, 0]
    # thrust m g along body z: a_x = g sin 0.2, times 10 ms
    assert velocity == pytest.approx([9.81 * np.sin(0.2) * 0.01, 0, 9.81 * (np.cos(0.2) - 1) * 0.01], abs=1e-6)


def test_drag_takes_speed_exponentially() -> None:
    state, setpoint, parameters = at_hover()
    parameters[Parameter.DRAG : Parameter.DISTURBANCE_FORCE] = 0.027  # D / m = 1 per second
    state[State.VELOCITY] = 1
    for _ in range(100):
        state = kernel.step(state, setpoint, parameters, 0.01, physics=Physics(drag=True))
    assert state[State.VELOCITY, 0] == pytest.approx(np.exp(-1), rel=1e-4)


def test_disturbances_push_and_twist() -> None:
    state, setpoint, parameters = at_hover()
    parameters[Parameter.DISTURBANCE_FORCE] = 0.027  # 1 m/s^2 along world x
    parameters[Parameter.DISTURBANCE_TORQUE + 2] = 5.9675e-6  # 1 rad/s^2 about body z
    state = kernel.step(state, setpoint, parameters, 0.01)
    assert state[State.VELOCITY, 0] == pytest.approx(0.01, rel=1e-5)
    assert state[State.ANGULAR_VELOCITY + 2, 0] == pytest.approx(0.01, rel=1e-5)


WRONG: list[tuple[str, Any, str]] = [
    ("state", np.zeros((16, 2), np.float32), r"state has shape \(16, 2\)"),
    ("state", np.zeros(17, np.float32), "state must be a numpy array"),
    ("state", [[0.0]], "state must be a numpy array"),
    ("state", np.zeros((17, 0), np.float32), "state has no environment"),
    ("state", np.zeros((17, 2)), "state has dtype float64"),
    ("rotor_speed_setpoint", np.zeros((4, 3), np.float32), r"rotor_speed_setpoint has shape \(4, 3\)"),
    (
        "rotor_speed_setpoint",
        np.zeros((4, 4), np.float32)[:, ::2],
        "rotor_speed_setpoint is not contiguous along a row",
    ),
    ("parameters", np.zeros((2, 51), np.float32).T, "parameters is not contiguous along a row"),
    ("parameters", np.zeros((51, 2), np.int32), "parameters has dtype int32"),
    ("dt", float("nan"), "dt is nan"),
    ("dt", float("inf"), "dt is inf"),
    ("threads", 0, "threads is 0"),
    ("out", np.zeros((17, 3), np.float32), r"out has shape \(17, 3\)"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG)
def test_wrong_arguments_are_named(name: str, value: Any, sentence: str) -> None:
    state, setpoint, parameters = at_hover(2)
    arguments = {"state": state, "rotor_speed_setpoint": setpoint, "parameters": parameters, "dt": 0.01}
    with pytest.raises(FledgeError, match=sentence):
        kernel.step(**{**arguments, name: value})


def test_read_only_output_is_refused() -> None:
    state, setpoint, parameters = at_hover()
    state.flags.writeable = False
    kernel.step(state, setpoint, parameters, 0.01)
    with pytest.raises(FledgeError, match="out is read-only"):
        kernel.step(state, setpoint, parameters, 0.01, out=state)


def test_wrong_adjoint_is_named() -> None:
    state, setpoint, parameters = at_hover(2)
    with pytest.raises(FledgeError, match=r"adjoint_next has shape \(4, 2\)"):
        kernel.step_adjoint(state, setpoint, parameters, 0.01, setpoint)


def test_missing_library_says_how_to_build_it(tmp_path: Any) -> None:
    with pytest.raises(FledgeError, match="pip install -e"):
        open_library("_absent", tmp_path)


def test_damaged_library_says_how_to_build_it(tmp_path: Any) -> None:
    (tmp_path / "_torn.so").write_bytes(b"not an object file")
    with pytest.raises(FledgeError, match="build again"):
        open_library("_torn", tmp_path)


def test_importing_the_kernel_does_not_import_torch() -> None:
    script = "import sys, fledge_sim.kernel; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
