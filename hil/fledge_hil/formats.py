"""A policy in the format that a command line asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from fledge_sim import policy as policy_file
from fledge_sim.policy import Policy

Quantisation = Literal["float32", "int16", "int8"]
QUANTISATIONS: tuple[Quantisation, ...] = ("float32", "int16", "int8")
"""All of them, the most exact first."""


def load(path: Path, quantisation: Quantisation | None, robot: str | None = None) -> Policy:
    """The policy that flies, from its file, in a format. Raises ContractError for one of an arm."""
    policy = policy_file.load(path)
    policy.contract.rotor_action  # noqa: B018  (refuses an arm's)
    return policy if quantisation is None else convert(policy, quantisation, robot)


def convert(policy: Policy, quantisation: Quantisation, robot: str | None = None) -> Policy:
    """The policy in a format, as `fledge export` makes it: the same integers on the same machine.

    `robot`: name or file, for the flights on which integers are calibrated; default: the one that the contract names.
    """
    if policy.contract.quantisation == quantisation:
        return policy
    from fledge_export import package  # the exporter's libraries are slow to start
    from fledge_export.calibrate import calibrate_on

    return package.quantised(policy, quantisation, calibrate_on(policy, robot) if robot else None)
