"""What n worlds of an arm's environment remember and how a step changes it; numpy, float64. arm_env.py is in front.

A period in order: action to target, command on its way (delay, slew, counts, play), push, physics, age of the sensed
positions, encoder, noise. Every random number is a function of seed, world, episode and step (arm_draws.py).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fledge_sim.arm_draws import Channel, Draws, draws
from fledge_sim.arm_kinematics import tip_position
from fledge_sim.arm_plant import ArmPlant, PlantMaker
from fledge_sim.arm_randomize import ArmDistribution
from fledge_sim.arm_servos import COMMANDS, ServoPath
from fledge_sim.arm_task import ArmState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fledge_sim.arm_config import ArmConfig
    from fledge_sim.counter_random import UInt32

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]
Index = NDArray[np.intp]
Worlds = Index | slice
ALL = slice(None)

JOINT_ARRAYS = ("target", "setpoint", "motor", "motor_before", "v_before", "sensed", "sensed_velocity", "push", "drive")
"""Remembered per joint: the policy's target; the servos' set-points; where the motors are and were; velocities then;
positions and velocities as the policy saw them; torque of a push; torque of the duty."""


class ArmWorlds:
    """See the module's docstring."""

    def __init__(self, config: ArmConfig, n: int, threads: int, make_plant: PlantMaker = ArmPlant) -> None:
        arm, joints = config.arm, len(config.arm.joints)
        self.config, self.n = config, n
        self._controlled = np.array(config.joints, np.intp)
        self._timestep = config.period / config.substeps
        options = config.task.model(arm, self._timestep)
        if config.frictionless:
            options = dataclasses.replace(options, friction="none")
        self.plant = make_plant(arm, options, n, config.substeps, threads)
        self._path, self._distribution = ServoPath(arm, config.substeps), ArmDistribution(config)
        self._low = np.array(arm.lower) + config.action.margin
        self._high = np.array(arm.upper) - config.action.margin
        travel = self._path.travel
        self._torque_max = np.array([arm.servo.torque_max * joint.torque_fraction for joint in arm.joints]) / travel
        self.task = config.task.make(self.plant)
        actions = len(config.joints)
        self.episode, self.age, self.limit = (np.zeros(n, np.uint32) for _ in range(3))
        self.history = np.zeros((n, max(2, config.history), actions))
        """Oldest first."""
        self.memory: dict[str, NDArray[Any]] = {
            "episode": self.episode,
            "age": self.age,
            "limit": self.limit,
            "history": self.history,
            "commands": np.zeros((n, COMMANDS, joints)),
            "push_left": np.zeros(n, np.int64),
            "unit": np.zeros((n, self._distribution.size)),
            "timestep": np.full(n, self._timestep),
            **{name: np.zeros((n, joints)) for name in JOINT_ARRAYS},
            **{f"task {name}": values for name, values in self.task.memory.items()},
        }
        self._values = self._distribution.values(self.memory["unit"])
        self._identity: UInt32 = np.zeros((2, n), np.uint32)
        self.touch = self.task.touch(config.period, threads) if config.touch == "pooled" else None

    def identify(self, identity: UInt32) -> None:
        """Start all worlds again as (2, n), before their first episode."""
        self._identity = identity
        if self.touch is not None:
            self.touch.identify(identity)
        for values in self.memory.values():
            values[:] = 0
        self.episode[:] = 2**32 - 1
        self.memory["timestep"][:] = self._timestep

    def begin(self, worlds: Index, level: Mapping[str, float]) -> None:
        """The next episode of worlds (m,): a new arm at rest, a new task."""
        config, memory = self.config, self.memory
        self.episode[worlds] += np.uint32(1)
        self.age[worlds] = 0
        first = self._draws(worlds)
        memory["unit"][worlds] = self._distribution.draw(first)
        self._values = self._distribution.values(memory["unit"])
        self.plant.apply(worlds, self._distribution.values(memory["unit"][worlds]))
        q = self.task.begin(worlds, first, level)
        self.task.apply(worlds)
        self.plant.put(worlds, q)
        self.task.placed(worlds)
        load = self.plant.bearing(worlds) + self.task.load(worlds)
        motor = q + self._path.play(load, self._values.backlash[worlds])
        held = motor + self.plant.holding(worlds, load)
        for name, values in (("target", held), ("setpoint", held), ("motor", motor), ("motor_before", motor)):
            memory[name][worlds] = values
        for name in ("v_before", "push", "drive", "push_left", "history"):
            memory[name][worlds] = 0
        memory["commands"][worlds] = self._path.commanded(held)[:, None]
        memory["timestep"][worlds] = self._timestep
        lasts = np.full(len(worlds), config.episode_steps)
        if config.staggered:
            early = 1 + (first.uniform(Channel.STEP, 1)[:, 0] * config.episode_steps).astype(np.int64)
            lasts = np.where(self.episode[worlds] == 0, early, lasts)
        self.limit[worlds] = lasts
        self._sense(worlds)
        if self.touch is not None:
            self.task.touched(self.touch, worlds)

    def act(self, action: Float64) -> None:
        """Action (n, A) to target and command."""
        memory, rules = self.memory, self.config.action
        action = np.clip(action, -1.0, 1.0)
        self.history[:, :-1] = self.history[:, 1:]
        self.history[:, -1] = action
        target, sensed = memory["target"], memory["sensed"]
        wanted = target.copy()
        wanted[:, self._controlled] += rules.step * action
        wanted = np.minimum(np.maximum(wanted, sensed - rules.reach), sensed + rules.reach)
        wanted = np.minimum(np.maximum(wanted, self._low), self._high)
        target[:, self._controlled] = wanted[:, self._controlled]

    def advance(self) -> NDArray[np.bool_]:
        """One period of physics; (n,) worlds that cannot go on."""
        memory, values, spans = self.memory, self._values, self.config.randomization
        self.age += np.uint32(1)
        unit = self._draws(ALL).uniform(Channel.STEP, 6)
        timestep = memory["timestep"]
        timestep[:] = self._timestep * (1 + spans.period * (2 * unit[:, 0] - 1))
        self._send(unit[:, 1] < spans.missed_frame)
        self._push(unit[:, 2:])
        self.task.before(timestep)
        travel = self._path.travel
        load = values.load_friction[:, None] * np.abs(memory["drive"] * travel)
        self.plant.set_friction(self.config.arm.servo.coulomb_friction * values.coulomb + load)
        path = self._path.setpoints(
            memory["commands"], memory["setpoint"], timestep, values.command_delay, values.setpoint_speed
        )
        memory["setpoint"][:] = path[:, -1]
        memory["motor_before"][:], memory["v_before"][:] = memory["motor"], self.plant.v
        controls = path - (memory["motor"] - self.plant.q)[:, None]
        failed = self.plant.advance(controls, timestep, memory["push"])
        memory["drive"][:] = self.plant.drive
        memory["motor"][:] = self.plant.q + self._path.play(self.plant.transmitted, values.backlash)
        self._sense(ALL)
        if self.touch is not None:
            self.task.feel(self.touch)
        return failed

    def state(self, worlds: Worlds) -> ArmState:
        """The truth now."""
        q = np.array(self.plant.q[worlds])
        history = self.history[worlds]
        return ArmState(
            plant=self.plant,
            worlds=worlds,
            q=q,
            v=np.array(self.plant.v[worlds]),
            tip=tip_position(self.config.arm, q),
            target=self.memory["target"][worlds],
            action=history[:, -1],
            action_before=history[:, -2],
        )

    def observe(self, worlds: Worlds) -> Float32:
        """The actor's terms (m, I), in the order of ArmConfig.observation."""
        config, memory = self.config, self.memory
        sensed = memory["sensed"][worlds]
        tip = tip_position(config.arm, sensed)
        parts = [sensed, memory["sensed_velocity"][worlds], memory["target"][worlds] - sensed, tip]
        parts.append(self.task.goal(tip, worlds))
        if self.touch is not None:
            parts.append(self.touch.pooled[worlds])
        if config.history:
            history = self.history[worlds, -config.history :]
            parts.append(history.reshape(len(sensed), -1))
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def truth(self, state: ArmState) -> Float32:
        """What only the critic knows, (m, P), each near the order of one.

        Positions, velocities / 5, target - position, gap in the play / 0.01, duty's torque / its limit, push / 0.3,
        period's deviation / 10 %, the tip, the task's own truth, share of the episode that is left, the arm's
        parameters as 2 u - 1.
        """
        memory, worlds = self.memory, state.worlds
        travel = self._path.travel
        left = 1 - self.age[worlds] / np.maximum(1, self.limit[worlds])
        parts = [
            state.q,
            state.v / 5,
            state.target - state.q,
            (memory["motor"][worlds] - state.q) / (0.01 * travel),
            memory["drive"][worlds] / self._torque_max,
            memory["push"][worlds] / 0.3,
            (10 * (memory["timestep"][worlds] / self._timestep - 1))[:, None],
            state.tip,
            self.task.truth(state),
            left[:, None],
            2 * memory["unit"][worlds][:, self._distribution.seen] - 1,
        ]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    @property
    def parameters_known(self) -> int:
        """How many numbers at the end of `truth` are the arm's parameters."""
        return len(self._distribution.seen)

    def restore(self) -> None:
        """After `memory` was overwritten: what is derived from it, in the plant as well."""
        self._values = self._distribution.values(self.memory["unit"])
        self.plant.apply(np.arange(self.n), self._values)
        self.task.apply(np.arange(self.n))

    def _draws(self, worlds: Worlds) -> Draws:
        return draws(self._identity[:, worlds], self.episode[worlds], self.age[worlds])

    def _send(self, missed: NDArray[np.bool_]) -> None:
        """The target becomes the newest command; where the frame is lost, the newest stays."""
        commands = self.memory["commands"]
        newest = np.where(missed[:, None], commands[:, 0], self._path.commanded(self.memory["target"]))
        commands[:, 1:] = commands[:, :-1].copy()
        commands[:, 0] = newest

    def _push(self, unit: Float64) -> None:
        """Torque pulses begin and end; unit draws (n, 4): whether, on which joint, how much, which way."""
        spans, memory = self.config.randomization, self.memory
        if not spans.push_probability:
            return
        left, push = memory["push_left"], memory["push"]
        left[:] = np.maximum(left - 1, 0)
        starts = np.flatnonzero((left == 0) & (unit[:, 0] < spans.push_probability))
        push[left == 0] = 0
        low, high = spans.push_torque
        joint = (unit[starts, 1] * push.shape[1]).astype(np.intp)
        amount = (low + (high - low) * unit[starts, 2]) * np.where(unit[starts, 3] < 0.5, -1.0, 1.0)
        push[starts, joint] = amount / self._path.travel[joint]
        left[starts] = spans.push_steps

    def _sense(self, worlds: Worlds) -> None:
        """Positions and velocities as the policy sees them; aged, biased, counted, noisy."""
        memory, values, sensors = self.memory, self._values, self.config.sensors
        motor, joints = memory["motor"][worlds], self.plant.joints
        age = (values.sensor_delay[worlds] / (self.config.substeps * memory["timestep"][worlds]))[:, None]
        noise = self._draws(worlds).normal(Channel.NOISE, 2 * joints)
        position = motor - age * (motor - memory["motor_before"][worlds]) + values.bias[worlds] * self._path.travel
        if sensors.encoder:
            position = self._path.encoder(position)
        v = self.plant.v[worlds]
        velocity = v - age * (v - memory["v_before"][worlds])
        memory["sensed"][worlds] = position + sensors.position_noise * self._path.travel * noise[:, :joints]
        memory["sensed_velocity"][worlds] = velocity + sensors.velocity_noise * self._path.travel * noise[:, joints:]
