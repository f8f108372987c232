"""A policy in the format that a command line asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from fledge_sim import policy as policy_file
from fledge_sim.policy import Policy

Quantisation = Literal["float32", "int16", "int8"]


def load(path: Path, quantisation: Quantisation | None) -> Policy:
    """The policy in a file; with a format, as `fledge export` makes it: the same integers on the same machine."""
    policy = policy_file.load(path)
    if quantisation is None:
        return policy
    from fledge_export import package  # the exporter's libraries are slow to start

    return package.quantised(policy, quantisation)
