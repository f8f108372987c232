"""A new episode on torch tensors: robot, disturbances, sensors, reference and first state, each drawn anew.

The random numbers are those of the native environment: the same channels of counter_random, the same table of draws
(environment_rows). A world's episode is a function of (seed, world, number of the episode) alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fledge_sim import drive, torch_random
from fledge_sim.counter_random import Channel
from fledge_sim.environment import EnvConfig
from fledge_sim.environment_rows import Row, angle_coefficients, draws, nominal_column
from fledge_sim.rows import STATES, Parameter
from fledge_sim.tasks import InitialState
from fledge_sim.torch_draws import Rounds, draw_rows, rounds_of
from fledge_sim.torch_memory import Memory, Places
from fledge_sim.torch_reference import Reference
from fledge_sim.torch_sense import TURN

STAGGER = int(Channel.INITIAL) - 1
"""Channel of the age at which a first episode begins."""
KIND, ROTOR, SLOW, POSITION, VELOCITY, SPIN, ATTITUDE = 0, 1, 2, 3, 6, 9, 12
"""Places within the channel INITIAL."""
Vector = list[Tensor]
Uniforms = tuple[Tensor, ...]


@dataclass(frozen=True)
class Beginning:
    """How episodes of a configuration begin."""

    config: EnvConfig
    places: Places
    reference: Reference
    rounds: Rounds
    """What is drawn, from Row.PARAMETER on."""
    angle: tuple[float, ...]
    """Coefficients of the attitude's distribution."""

    def begin(self, memory: Memory, identity: Tensor) -> Memory:
        """Memory with the next episode begun in every world; identity (2, n) of the worlds' random numbers."""
        episode = memory.episode + 1
        key = torch_random.key(identity, episode, 0)
        age = self._age(key, episode)
        drawn, reference = draw_rows(self.rounds, key), self.reference.draw(key)
        wind, charge = self._air(key, drawn), self._charge(drawn)
        state = self._state(key, *self.reference.at(reference, age))
        return memory._replace(
            episode=episode,
            age=age,
            state=torch.stack(state),
            drawn=self._derived(drawn),
            reference=reference,
            wind=wind if self.places.windy else memory.wind,
            charge=charge if self.places.battery else memory.charge,
            history=torch.full_like(memory.history, self.config.robot.hover_action),
        )

    def _age(self, key: Tensor, episode: Tensor) -> Tensor:
        """0, but random in first episodes if they are staggered, [steps]."""
        if not self.config.staggered:
            return torch.zeros_like(key)
        share = torch_random.uniform(torch_random.word(key, STAGGER))
        return torch.where(episode == 0, (share * self.config.episode_steps).to(torch.int32), 0)

    def _air(self, key: Tensor, drawn: Tensor) -> Tensor:
        """First wind of the episode, (3, n) [m/s]: mean and a fluctuation of its full size."""
        gust = self.places.layout.gust - Row.PARAMETER
        if not self.places.windy:
            return key.new_empty((0, *key.shape), dtype=torch.float32)
        kick = torch_random.normal(torch_random.words(key, Channel.GUST, 3))
        return drawn[gust : gust + 3] + drawn[gust + 3] * kick

    def _charge(self, drawn: Tensor) -> Tensor:
        """State of charge, (1, n)."""
        return drawn[self.places.layout.battery - Row.PARAMETER][None]

    def _derived(self, drawn: Tensor) -> Tensor:
        """What is drawn in a unit for people and used in one for the step."""
        there, rows, dt = self.places.layout, drawn.clone(), self.config.step
        if there.gyro >= 0:
            gyro = there.gyro - Row.PARAMETER
            rows[gyro] = 1 - torch.exp(-TURN * dt * rows[gyro])
        if there.gust >= 0:
            decay = there.gust + 4 - Row.PARAMETER
            rows[decay] = torch.exp(-dt / rows[decay])
        if there.battery >= 0:
            charge = rows[there.battery - Row.PARAMETER]
            rows[int(Parameter.BATTERY_VOLTAGE)] = self.places.open_circuit_voltage(charge)
        return rows

    def _state(self, key: Tensor, position: Vector, velocity: Vector) -> Vector:
        """First state, around the reference."""
        spec = self.config.task.initial_state
        u = torch_random.uniforms(key, Channel.INITIAL, ATTITUDE + 5)
        kind = u[KIND]
        rest = kind < spec.rest_share
        level = kind < spec.rest_share + spec.guided_share
        offset = [torch.where(level, 0.0, x) for x in _box(u, POSITION, spec.position)]
        drift = [torch.where(rest, 0.0, x) for x in _box(u, VELOCITY, spec.velocity)]
        spin = [torch.where(rest, 0.0, x) for x in _box(u, SPIN, spec.angular_velocity)]
        upright = (1.0, 0.0, 0.0, 0.0)
        attitude = [torch.where(level, u, q) for u, q in zip(upright, self._attitude(u), strict=True)]
        position = [r + x for r, x in zip(position, offset, strict=True)]
        velocity = [r + x for r, x in zip(velocity, drift, strict=True)]
        rotors = [torch.where(rest, *self._rotor_speeds(u, spec))] * 4
        state = [*position, *attitude, *velocity, *spin, *rotors]
        assert len(state) == STATES
        return state

    def _rotor_speeds(self, u: Uniforms, spec: InitialState) -> tuple[Tensor, Tensor]:
        """Of an episode from rest, and of any other [rad/s]."""
        robot = self.config.robot
        slowest, fastest = (share * robot.hover_rotor_speed for share in spec.rest_rotor)
        low, high = spec.rotor_action
        action = low + (high - low) * u[ROTOR]
        return slowest + (fastest - slowest) * u[SLOW], drive.nominal_rotor_speed(robot, action)

    def _attitude(self, u: Uniforms) -> Vector:
        """Uniform over rotations by at most the largest angle, as a quaternion.

        The axis is uniform on the sphere. The angle is a function of r, whose cube is uniform: the largest of three
        uniform numbers.
        """
        first, second, third, height, around = u[ATTITUDE : ATTITUDE + 5]
        r = torch.maximum(torch.maximum(first, second), third)
        series = torch.zeros_like(r)
        for coefficient in reversed(self.angle):
            series = coefficient + r**2 * series
        half_angle = TURN * r * series
        z = 2 * height - 1
        level = torch.sqrt(torch.clamp(1 - z**2, min=0))
        azimuth = TURN * around
        sine = torch.sin(half_angle)
        axis = [level * torch.cos(azimuth), level * torch.sin(azimuth), z]
        return [torch.cos(half_angle), *(sine * part for part in axis)]


def beginning_of(config: EnvConfig, places: Places, reference: Reference, device: torch.device) -> Beginning:
    """Everything that does not depend on a world, worked out once."""
    angle = angle_coefficients(math.radians(config.task.initial_state.angle_deg))
    nominal = nominal_column(config)[Row.PARAMETER :].tolist()
    rounds = rounds_of(draws(config), nominal, Row.PARAMETER, device)
    return Beginning(config, places, reference, rounds, tuple(angle.tolist()))


def _box(u: Uniforms, first: int, half_width: float) -> Vector:
    """Three numbers uniform within +-half_width."""
    return [half_width * (2 * x - 1) for x in u[first : first + 3]]
