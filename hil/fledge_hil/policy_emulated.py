"""One policy on the emulated processor: the image of fledge_export.bare, called through its mailbox."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from fledge_sim.policy import Float32, Policy

from fledge_hil.mcu import Mcu, Trace

STEP = "mailbox_step"
WEIGHTS = "policy_weights"
SELF_TEST_TIMEOUT = 60.0
"""[s]"""


class EmulatedPolicy:
    """Same calls as fledge_export.bare.HostPolicy."""

    def __init__(self, elf: Path, policy: Policy) -> None:
        """Boot the image. `policy` only says how long input, state and output are. Raises ImageError or McuFault."""
        self.mcu = Mcu(elf)
        self.contract = policy.contract
        self._inputs, self._states = policy.contract.observation_size, policy.contract.recurrent_size

    def step(self, observation: Float32, state: Float32) -> tuple[Float32, Float32]:
        """One native step per row: (n, I), (n, S) -> action (n, O), next state (n, S)."""
        actions = np.empty((len(observation), self.contract.outputs), np.float32)
        following = np.empty((len(observation), self._states), np.float32)
        for index, (row, before) in enumerate(zip(observation, state, strict=True)):
            self._post(row, before)
            self.mcu.call(STEP)
            actions[index] = self.mcu.read_floats("policy_out")
            following[index] = self.mcu.read_floats("policy_state")[: self._states]
        return actions, following

    def self_test(self) -> int:
        """0: passed."""
        return self.mcu.call("policy_self_test", timeout=SELF_TEST_TIMEOUT)

    def trace(self, observation: Float32, state: Float32) -> Trace:
        """What one step from (I,), (S,) runs through."""
        self._post(observation, state)
        return self.mcu.trace(STEP)

    def stack_used(self, observation: Float32, state: Float32) -> int:
        """Of one step from (I,), (S,) [bytes]."""
        self._post(observation, state)
        return self.mcu.stack_used(STEP)

    def flip(self, bit: int) -> None:
        """Turn over one bit of the weights in flash."""
        data = bytearray(self.mcu.read(WEIGHTS))
        data[bit // 8 % len(data)] ^= 1 << bit % 8
        self.mcu.write(WEIGHTS, bytes(data))

    def _post(self, observation: Float32, state: Float32) -> None:
        self.mcu.write_floats("policy_in", observation)
        if self._states:
            self.mcu.write_floats("policy_state", state)
