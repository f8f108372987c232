"""How many of the paper's starts can be caught at all: `python tests/bench/bench_survival_limit.py --robot crazyflie`.

Specialists are trained for nothing but these starts: the nominal robot with its disturbances, no delay, almost no price
on the change of action. They fly without noise; an episode is caught if one of them catches it. What all lose is flown
again open loop, with every command optimised by gradient descent through the kernel, knowing state, disturbance and
future, from what the best of them did. The search is local: a number that can be reached, not a proof that more cannot.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
from fledge_sim import kernel, randomize, robot, tasks
from fledge_sim.rows import Float32, State
from fledge_train import config, shac
from fledge_train.config import TrainConfig
from fledge_train.curriculum import Ramp
from fledge_train.evaluate import hover_target
from fledge_train.flights import DT, LIMIT, PHYSICS, Scenario, fly

STEPS = 200
SEARCHES = 3
ITERATIONS = 500


def specialist(name: str, seed: int) -> TrainConfig:
    """A run for catching alone; kinds of actor and limits on the adjoint alternate."""
    base = config.robust(name, "mlp" if seed % 2 else "gru", seed)
    return replace(
        base,
        catch_share=1.0,
        catch_age=200,
        pool=16384,
        position_limit=0.8,
        randomization=randomize.paper(),
        initial_state=tasks.paper_initial_state(),
        adjoint_limit=Ramp(1e3, (3e4, 1e5, 1e6)[seed % 3], 0.4),
        cost=replace(base.cost, position=Ramp(5.0, 60.0, 0.3), action_rate=Ramp(0.01, 0.05, 0.3)),
    )


@dataclass(frozen=True)
class Lost:
    """Episodes to be rescued."""

    state: Float32
    parameters: Float32
    action: Float32
    """What the specialist did that held out longest, (steps, 4, n)."""


def lost_episodes(name: str, episodes: int, seed: int, specialists: int) -> Lost:
    """Those of the paper's starts that every specialist loses within 2 s."""
    body = robot.load(name)
    state = tasks.sample_initial_states(body, tasks.paper_initial_state(), episodes, seed)
    parameters = randomize.sample_parameters(body, randomize.paper(), episodes, seed)
    scenario = Scenario(state, parameters, hover_target(episodes), STEPS * DT, noise_scale=0.0)
    caught, held = np.zeros(episodes, bool), np.zeros(episodes)
    action = np.zeros((STEPS, 4, episodes), np.float32)
    for number in range(specialists):
        flight = fly(shac.train(specialist(name, number)).policy, body, scenario)
        near = (flight.distance < LIMIT).cumprod(axis=0).sum(axis=0)
        better = near > held
        held[better], action[:, :, better] = near[better], flight.action.transpose(0, 2, 1)[:, :, better]
        caught |= flight.alive
        print(f"specialist {number}: {flight.alive.mean():.3f}, together {caught.mean():.3f}", flush=True)
    gone = ~caught
    parts = (np.ascontiguousarray(array[..., gone]) for array in (state, parameters, action))
    return Lost(*parts)


def gradient(lost: Lost, setpoint: Float32) -> tuple[Float32, Float32]:
    """Largest position error over time and axes, (n,), and the slope of a penalty on it by the set-points."""
    states = [lost.state]
    for u in setpoint:
        states.append(kernel.step(states[-1], u, lost.parameters, DT, physics=PHYSICS))
    position = np.array(states)[1:, : State.QUATERNION]
    adjoint, slope = np.zeros_like(lost.state), np.zeros_like(setpoint)
    for t in range(STEPS - 1, -1, -1):
        beyond = np.sign(position[t]) * np.maximum(np.abs(position[t]) - (LIMIT - 0.1), 0)
        adjoint[: State.QUATERNION] += 100 * beyond + 0.02 * position[t]
        adjoint[State.VELOCITY : State.ANGULAR_VELOCITY] += (
            0.002 * states[t + 1][State.VELOCITY : State.ANGULAR_VELOCITY]
        )
        adjoint = np.clip(np.nan_to_num(adjoint), -1e3, 1e3)
        adjoint, slope[t] = kernel.step_adjoint(states[t], setpoint[t], lost.parameters, DT, adjoint, physics=PHYSICS)
    return np.nan_to_num(np.abs(position).max(axis=(0, 1)), nan=np.inf), slope


def rescued(name: str, lost: Lost) -> np.ndarray:
    """Which episodes some command sequence keeps inside, (n,)."""
    body = robot.load(name)
    low, high = (float(kernel.setpoint_from_action(body, np.full((4, 1), a))[0, 0]) for a in (-1.0, 1.0))
    best = np.full(lost.state.shape[1], np.inf)
    for search in range(SEARCHES):
        wander = np.random.default_rng(search).normal(size=lost.action.shape).cumsum(axis=0) * 0.01 * search
        begin = lost.action if search == 0 else body.hover_action + wander
        z = np.arctanh(np.clip(begin, -0.97, 0.97)).astype(np.float32)
        mean, square = np.zeros_like(z), np.zeros_like(z)
        for step in range(1, ITERATIONS + 1):
            worst, slope = gradient(lost, (low + (np.tanh(z) + 1) / 2 * (high - low)).astype(np.float32))
            best = np.minimum(best, worst)
            g = slope * (1 - np.tanh(z) ** 2)
            g /= np.sqrt((g**2).sum(axis=(0, 1))) + 1e-9
            mean, square = 0.9 * mean + 0.1 * g, 0.99 * square + 0.01 * g * g
            pace = 0.15 * (1 - step / ITERATIONS) / (1 - 0.9**step)
            z = np.clip(z - pace * mean / (np.sqrt(square / (1 - 0.99**step)) + 1e-6), -3, 3).astype(np.float32)
    return np.asarray(best < LIMIT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--robot", default="crazyflie")
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--specialists", type=int, default=10)
    options = parser.parse_args()
    lost = lost_episodes(options.robot, options.episodes, 1, options.specialists)
    count, saved = lost.state.shape[1], int(rescued(options.robot, lost).sum())
    total = options.episodes
    print(f"{options.robot}: all specialists lose {count} of {total}; {saved} of them could be caught")
    print(f"survival of the specialists together {1 - count / total:.3f}; reachable {1 - (count - saved) / total:.3f}")


if __name__ == "__main__":
    main()
