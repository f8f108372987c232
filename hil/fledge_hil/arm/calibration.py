"""Where a built arm's joints are zero, and which way they turn: a JSON file, one entry per joint.

{"shoulder_pan": {"zero_counts": 2048, "direction": 1}, ...}: the encoder's count at q = 0, where the arm is stretched
forward, and -1 for a servo that was mounted the other way round. Without a file: 2048 and 1.
"""

from __future__ import annotations

import json
from pathlib import Path

from fledge_sim.arm import Arm
from fledge_sim.errors import FledgeError

from fledge_hil.arm.board import centred
from fledge_hil.arm.messages import ArmCalibration
from fledge_hil.arm.registers import COUNTS


def load_calibration(path: Path | None, arm: Arm) -> ArmCalibration:
    """From a file; None: centred. Raises FledgeError that says what is wrong with it."""
    calibration = centred()
    if path is None:
        return calibration
    try:
        tree = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise FledgeError(f"cannot read the calibration {path}: {error}") from error
    names = [joint.name for joint in arm.joints]
    if not isinstance(tree, dict) or set(tree) != set(names):
        raise FledgeError(f"{path}: a calibration has exactly the joints {', '.join(names)}")
    for index, name in enumerate(names):
        entry = tree[name]
        try:
            zero, direction = float(entry["zero_counts"]), float(entry["direction"])
        except (TypeError, KeyError, ValueError) as error:
            raise FledgeError(f"{path}: joint '{name}' needs the numbers zero_counts and direction") from error
        if not 0 <= zero < COUNTS or direction not in (-1.0, 1.0):
            raise FledgeError(f"{path}: joint '{name}': zero_counts lies in 0 to {COUNTS - 1}, direction is 1 or -1")
        calibration.zero_counts[index], calibration.direction[index] = zero, direction
    return calibration
