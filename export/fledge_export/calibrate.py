"""What a policy sees when it flies: observations and recurrent states from the simulator, the same for the same seed.

The policy's own flights in the trainer's surroundings: half of them hover after a throw, half follow moving curves,
each with another body, disturbance and sensor noise. A flight that is lost starts over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from fledge_sim import kernel, randomize, sensors, tasks
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.physics import Physics
from fledge_sim.policy import Float32, Policy, forward
from fledge_sim.robot import Robot
from fledge_sim.rows import State
from numpy.typing import NDArray

LOST = 1.0
"""[m], any axis, from the set-point."""


@dataclass(frozen=True)
class Calibration:
    """Rows that occurred, in the order in which they occurred."""

    observations: Float32
    """(n, I), contract units"""
    states: Float32
    """(n, S), before the step"""
    seed: int
    flights: int
    steps: int
    """Native steps of each flight."""

    def record(self) -> dict[str, int]:
        """For the contract's training record: how the rows came about."""
        return {"seed": self.seed, "flights": self.flights, "steps": self.steps}


def calibrate(
    policy: Policy, robot: Robot | None = None, *, seed: int = 0, flights: int = 64, steps: int = 300
) -> Calibration:
    """Fly and write down what the policy saw; about half a second.

    Args:
        policy: float32, or a quantised one by what its weights stand for.
        robot: default: the one that the contract names.
        seed: of bodies, throws, curves, noise.
        flights: at once.
        steps: native steps of each.
    Raises:
        FledgeError: the robot is not the one that the policy was trained for.
    """
    contract = policy.contract
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
