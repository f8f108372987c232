"""What a privileged critic sees: the truth of a horizon's moments, each feature near the order of one.

    z = (z_state, z_constant)

z_state depends on the state: errors of position and velocity, attitude, angular velocity, rotor speeds. z_constant does
not: the reference's acceleration and jerk, the constant force and torque, physical parameters, delay, noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from fledge_sim.rows import STATES, Float32, Parameter, State

from fledge_train.learner import Learner, Row

ON_STATE = 3 + 3 + 3 + 3 + 4
"""Features that depend on the state; they come first."""
COMPACT = ON_STATE + 3 + 3 + 6
"""Features without the physical parameters."""
LIMIT = 10.0
"""Bound on each feature."""
POSITION, VELOCITY, TILT, ANGULAR_VELOCITY, ROTOR_SPEED = 3.0, 1.0, 2.0, 0.3, 3.0
"""Factors on the features of the state, in their order; rotor speeds are relative to hover."""
PARAMETERS = [*range(Row.PARAMETER, Row.PARAMETER + Parameter.GRAVITY), *range(Row.DELAY, Row.AMPLITUDE), Row.NOISE]
"""Rows of an environment that do not change within an episode and matter for what is to come."""
PUSH = slice(Row.PARAMETER + Parameter.DISTURBANCE_FORCE, Row.PARAMETER + Parameter.DISTURBANCE_FORCE + 6)


class Truth:
    """The features, and their reverse."""

    def __init__(self, learner: Learner, compact: bool) -> None:
        """Normalise by the prepared episodes of `learner`; its traces of states and errors are read later.

        Args:
            learner: records state and error.
            compact: leave out the physical parameters.
        """
        self._learner, self._compact = learner, compact
        pool = learner.pool.astype(np.float64)
        self._rotor_scale = float(np.median(pool[:, Row.STATE + State.ROTOR_SPEED]))
        self._push_scale = np.maximum(pool[:, PUSH].std(axis=0), 1e-9)[:, None]
        mean, deviation = pool[:, PARAMETERS].mean(axis=0), pool[:, PARAMETERS].std(axis=0)
        varies = deviation > 1e-6 * np.maximum(np.abs(mean), 1e-12)
        self._rows = np.array(PARAMETERS)[varies]
        self._mean, self._deviation = mean[varies, None], deviation[varies, None]
        self.size = COMPACT + (0 if compact else len(self._rows))
        """Number of features, K."""

    def features(self, moments: Sequence[int]) -> Float32:
        """z, (K, m, n), at `moments` of the horizon last run; before the resets."""
        environment, traces = self._learner.environment, self._learner.traces
        state = traces["state"][moments].swapaxes(0, 1)
        error = traces["error"][moments].swapaxes(0, 1)
        squared = environment[Row.FREQUENCY : Row.FREQUENCY + 3, None] ** 2
        z = np.empty((self.size, len(moments), state.shape[2]), np.float32)
        z[:3], z[3:6] = POSITION * error[:3], VELOCITY * error[3:]
        z[6:9] = TILT * _sign(state) * state[State.QUATERNION + 1 : State.VELOCITY]
        z[9:12] = ANGULAR_VELOCITY * state[State.ANGULAR_VELOCITY : State.ROTOR_SPEED]
        z[12:16] = ROTOR_SPEED * (state[State.ROTOR_SPEED :] / self._rotor_scale - 1)
        z[16:19] = 0.3 * squared * (state[: State.QUATERNION] - error[:3])
        z[19:22] = 0.1 * squared * (state[State.VELOCITY : State.ANGULAR_VELOCITY] - error[3:])
        z[22:28] = (environment[PUSH] / self._push_scale)[:, None]
        if not self._compact:
            z[COMPACT:] = ((environment[self._rows] - self._mean) / self._deviation)[:, None]
        return np.clip(z, -LIMIT, LIMIT, out=z)

    def reverse(self, moment: int, z: Float32, slope: Float32) -> Float32:
        """Chain rule from features to state.

        Args:
            moment: of the horizon last run.
            z: features at that moment, (K, n).
            slope: dV/dz, (K, n).
        Returns:
            dV/dx, (17, n); its row of q_w is zero, since the vector part fixes it.
        """
        state = self._learner.traces["state"][moment]
        bar = slope[:ON_STATE] * (np.abs(z[:ON_STATE]) < LIMIT)
        gradient = np.zeros((STATES, z.shape[1]), np.float32)
        gradient[: State.QUATERNION] = POSITION * bar[:3]
        gradient[State.VELOCITY : State.ANGULAR_VELOCITY] = VELOCITY * bar[3:6]
        gradient[State.QUATERNION + 1 : State.VELOCITY] = TILT * _sign(state) * bar[6:9]
        gradient[State.ANGULAR_VELOCITY : State.ROTOR_SPEED] = ANGULAR_VELOCITY * bar[9:12]
        gradient[State.ROTOR_SPEED :] = ROTOR_SPEED / self._rotor_scale * bar[12:16]
        return gradient


def _sign(state: Float32) -> Float32:
    """Of the quaternion, so that one attitude is one feature; `state`: (17, ...)."""
    return np.where(state[State.QUATERNION] < 0, np.float32(-1), np.float32(1))
