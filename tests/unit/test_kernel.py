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


def one_step(physics: Physics, **parameters: float) -> Float32:
    """The paper's robot, hovering at the origin with gravity, after 10 ms; parameters by name."""
    state, setpoint, rows = at_hover()
    for name, value in parameters.items():
        rows[Parameter[name]] = value
    return kernel.step(state, setpoint, rows, 0.01, physics=physics)[:, 0]


def test_wind_pushes() -> None:
    state, setpoint, parameters = at_hover()
    parameters[Parameter.DRAG : Parameter.DISTURBANCE_FORCE] = 0.0027  # D / m = 0.1 per second
    parameters[Parameter.WIND + 1] = 5
    state = kernel.step(state, setpoint, parameters, 0.01, physics=Physics(drag=True))
    # 0.1 / s * 5 m/s = 0.5 m/s^2 for 10 ms
    assert state[State.VELOCITY : State.VELOCITY + 3, 0] == pytest.approx([0, 0.005, 0], abs=3e-6)


def test_ground_effect_lifts() -> None:
    # A = 4e-4 m^2 at z = 0.04 + 0.02 m: 1 / (1 - 4e-4 / 36e-4) = 9/8, so that g / 8 is left; z rises by 6e-5 m
    found = one_step(Physics(ground_effect=True), GROUND_EFFECT_AREA=4e-4, ROTOR_HEIGHT=0.06)
    assert found[State.VELOCITY + 2] == pytest.approx(9.81 / 8 * 0.01, rel=2e-3)
    # at the rotor's own height 0 the factor is that of z = 2 sqrt(A), 4/3
    found = one_step(Physics(ground_effect=True), GROUND_EFFECT_AREA=4e-4, ROTOR_HEIGHT=0)
    assert found[State.VELOCITY + 2] == pytest.approx(9.81 / 3 * 0.01, rel=2e-3)


def test_battery_limits_the_rotor() -> None:
    # hover: T = 0.027 * 9.81 / 4 = 0.0662175 N at 1515.90 rad/s, 100.379 W per metre; with c_P = 0.005 m
    # sum P = 4 * 0.005 * 100.379 = 2.00758 W, at 4 V and 0.2 ohm: V = 4 - 0.2 * 2.00758 / 4 = 3.89962 V;
    # 300 rad/s/V give 1169.89 rad/s; falling with 0.15 s for 10 ms: 1169.89 + 346.01 exp(-1/15)
    found = one_step(
        Physics(battery=True), BATTERY_VOLTAGE=4, BATTERY_RESISTANCE=0.2, DRIVE_POWER=0.005, SPEED_PER_VOLT=300
    )
    # the voltage recovers by 0.2 * 2.0 / 4 * 3 * 4.4 % as the rotors slow down: 4 rad/s, of which 6 % count here
    assert found[State.ROTOR_SPEED :] == pytest.approx([1493.6] * 4, abs=0.3)


def test_semi_implicit_euler_moves_with_the_new_velocity() -> None:
    state, setpoint, parameters = at_hover()
    state[State.ROTOR_SPEED :] = setpoint[:] = 0
    state = kernel.step(state, setpoint, parameters, 0.1, physics=Physics(integrator="semi_implicit_euler"))
    # v = -9.81 * 0.1, z = v * 0.1
    assert state[2, 0] == pytest.approx(-0.0981, rel=1e-6)
    assert state[State.VELOCITY + 2, 0] == pytest.approx(-0.981, rel=1e-6)


def test_on_the_floor_it_rests_on_its_feet_with_the_compression_of_the_default_floor() -> None:
    state, setpoint, parameters = at_hover()
    state[State.ROTOR_SPEED :] = setpoint[:] = 0
    state[2] = PAPER.leg_height + 0.01
    for _ in range(100):
        state = kernel.step(state, setpoint, parameters, 0.01, physics=Physics(floor=True, substeps=20))
    assert state[2, 0] == pytest.approx(PAPER.leg_height - 1e-3, abs=1e-5)


def test_a_prepared_step_is_the_step() -> None:
    state, setpoint, parameters = at_hover(37)
    setpoint += np.linspace(-300, 300, 37, dtype=np.float32)
    expected = kernel.step(kernel.step(state, setpoint, parameters, 0.01), setpoint, parameters, 0.01)
    advance = kernel.PreparedStep(state, setpoint, parameters, 0.01)
    advance()
    advance()
    assert state.tobytes() == expected.tobytes()


def test_memory_of_a_prepared_step_cannot_be_taken_away() -> None:
    state, setpoint, parameters = (array.copy() for array in at_hover(3))
    advance = kernel.PreparedStep(state, setpoint, parameters, 0.01)
    with pytest.raises(ValueError, match="resize"):
        state.resize((17, 300))
    advance()


@pytest.mark.parametrize("n", [1, 16, 511, 512, 1000, 1024, 2048])
def test_rows_may_lie_apart(n: int) -> None:
    """Results do not depend on the layout, and nothing is written between the rows."""
    state, setpoint, parameters = at_hover(n)
    setpoint += np.arange(n, dtype=np.float32)
    wide = np.full((17, n + 3), 7, np.float32)
    wide[:, :n] = state
    expected = kernel.step(*(np.ascontiguousarray(array) for array in (state, setpoint, parameters)), 0.01)
    assert kernel.step(wide[:, :n], setpoint, parameters, 0.01).tobytes() == expected.tobytes()
    assert kernel.step(state, setpoint, parameters, 0.01, out=wide[:, :n]).tobytes() == expected.tobytes()
    assert (wide[:, n:] == 7).all()


SENSELESS: list[tuple[str, Any, float, str]] = [
    ("state", 3, np.nan, "state is nan in row 3 of environment 1"),
    ("rotor_speed_setpoint", 2, np.inf, "rotor_speed_setpoint is inf in row 2 of environment 1"),
    ("parameters", Parameter.WIND, np.nan, "parameters is nan in row 43 of environment 1"),
    ("parameters", Parameter.MASS_INVERSE, 0, "mass_inverse of world 1 is 0.0, it must be positive"),
    ("parameters", Parameter.BATTERY_RESISTANCE, -1, "battery_resistance of world 1 is -1.0, it must be 0 or more"),
    ("parameters", Parameter.LAG_RISE_INVERSE, 1000, "stable up to 0.00278 s"),
]


@pytest.mark.parametrize(("name", "row", "value", "sentence"), SENSELESS)
def test_values_are_checked_on_request_before_anything_is_written(
    name: str, row: int, value: float, sentence: str
) -> None:
    state, setpoint, parameters = at_hover(2)
    arguments = {"state": state, "rotor_speed_setpoint": setpoint, "parameters": parameters}
    arguments[name][row, 1] = value
    before = state.tobytes()
    with pytest.raises(FledgeError, match=sentence):
        kernel.step(**arguments, dt=0.01, out=state, check=True)
    assert state.tobytes() == before
    with pytest.raises(FledgeError, match=sentence):
        kernel.PreparedStep(**arguments, dt=0.01)


@pytest.mark.parametrize("dt", [0.0, -0.01])
def test_time_does_not_run_backwards_when_checked(dt: float) -> None:
    state, setpoint, parameters = at_hover()
    with pytest.raises(FledgeError, match="it must be positive"):
        kernel.step(state, setpoint, parameters, dt, check=True)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"integrator": "euler"}, "choose rk4 or semi_implicit_euler"),
        ({"substeps": 0}, "from 1 to 64"),
        ({"substeps": 65}, "from 1 to 64"),
        ({"substeps": 1.5}, "whole number"),
    ],
)
def test_wrong_physics_are_named(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FledgeError, match=sentence):
        Physics(**options)


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
