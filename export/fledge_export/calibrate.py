"""What a policy sees in use: observations and recurrent states from the simulator, the same for the same seed.

An arm moves in the environment of its training (calibrate_arm). A quadrotor's policy flies in the surroundings of its
own: half of the flights hover after a throw, half follow moving curves, each with another body, disturbance and sensor
noise. A flight that is lost starts over.
"""

from __future__ import annotations

import numpy as np
from fledge_sim import kernel, randomize, sensors, tasks
from fledge_sim import robot as robots
from fledge_sim.contract import JointMapping
from fledge_sim.errors import FledgeError
from fledge_sim.physics import Physics
from fledge_sim.policy import Float32, Policy, forward
from fledge_sim.robot import Robot
from fledge_sim.rows import State
from numpy.typing import NDArray

from fledge_export.calibrate_arm import calibrate_arm
from fledge_export.calibration import Calibration

STEPS = 300
"""Native steps of a flight."""
LOST = 1.0
"""[m], any axis, from the set-point."""


def calibrate(
    policy: Policy, robot: Robot | None = None, *, seed: int = 0, flights: int = 64, steps: int | None = None
) -> Calibration:
    """Fly, or move, and write down what the policy saw; about half a second.

    Args:
        policy: float32, or a quantised one by what its weights stand for; an arm's as in calibrate_arm.
        robot: default: the one that the contract names.
        seed: of bodies, throws, curves, noise.
        flights: at once.
        steps: native steps of each; default: 300, of an arm its longest episode.
    Raises:
        FledgeError: the robot is not the one that the policy was trained for.
    """
    contract = policy.contract
    if isinstance(contract.action, JointMapping):
        return calibrate_arm(policy, seed=seed, episodes=flights, steps=steps)
    steps = steps or STEPS
    robot = robot or robots.load(contract.robot)
    if robot.sha256 != contract.robot_sha256:
        raise FledgeError(
            f"the policy was trained for another robot than '{robot.name}' is now; give its robot, or train again"
        )
    scene = _Scene(robot, flights, seed)
    noise = sensors.noise_deviation(contract)
    generator = randomize.stream(seed, "calibration")
    memory = np.zeros((flights, contract.recurrent_size), np.float32)
    history = np.full((flights, 4 * contract.history_length), contract.rotor_action.hover, np.float32)
    observations, states = [], []
    for index in range(steps):
        time = index / contract.native_rate
        error = noise * generator.standard_normal((flights, noise.size), np.float32)
        ahead = sensors.look_ahead(contract, scene.state, scene.target, time, error)
        seen = sensors.observe(contract, scene.state, scene.target(time), history, ahead) + error
        observations.append(seen)
        states.append(memory)
        action, memory = (array.astype(np.float32) for array in forward(policy, seen, memory))
        history = np.concatenate([history[:, 4:], action], axis=1) if history.size else history
        lost = scene.advance(action, time, 1 / contract.native_rate)
        memory[lost], history[lost] = 0, contract.rotor_action.hover
    return Calibration(np.concatenate(observations), np.concatenate(states), seed, flights, steps)


def calibrate_on(policy: Policy, robot: str | None, *, seed: int = 0) -> Calibration:
    """On the robot or arm of a name or file; default: the one that the contract names. Raises as `calibrate`."""
    if isinstance(policy.contract.action, JointMapping):
        return calibrate_arm(policy, robot, seed=seed)
    return calibrate(policy, robots.load(robot) if robot else None, seed=seed)


class _Scene:
    """Bodies and what they should follow."""

    def __init__(self, robot: Robot, flights: int, seed: int) -> None:
        self._robot = robot
        self._parameters = randomize.sample_parameters(robot, randomize.Randomization(), flights, seed)
        moving = tasks.ReferenceDistribution(figure_eight_share=0.3, lissajous_share=0.2)
        self._reference = tasks.sample_references(moving, flights, seed)
        self._start = tasks.sample_initial_states(robot, tasks.InitialState(), flights, seed)
        self.state = self._from_start(0.0)

    def target(self, time: float) -> sensors.Target:
        """Set-point of each flight at a time [s]."""
        return sensors.Target(self._reference.position(time), self._reference.velocity(time))

    def advance(self, action: Float32, time: float, dt: float) -> NDArray[np.bool_]:
        """One step with the actions (n, 4); which flights were lost and start over, (n,)."""
        setpoint = kernel.setpoint_from_action(self._robot, action.T)
        self.state = kernel.step(self.state, setpoint, self._parameters, dt, physics=Physics(drag=True))
        error = self.state[State.POSITION : State.POSITION + 3] - self._reference.position(time + dt)
        lost = np.asarray(~(np.abs(error) <= LOST).all(axis=0))
        self.state[:, lost] = self._from_start(time + dt)[:, lost]
        return lost

    def _from_start(self, time: float) -> Float32:
        state = self._start.copy()
        target = self.target(time)
        state[State.POSITION : State.POSITION + 3] += target.position_world.astype(np.float32)
        state[State.VELOCITY : State.VELOCITY + 3] += target.velocity_world.astype(np.float32)
        return state
