"""Worst case of a millisecond of the Crazyflie app, over all paths of the firmware's linked image, its PID included.

As fledge_hil.control_tick for the emulated board. What the machine code does not tell is written here with its reason;
what is left out is named. Modelled, not measured on silicon.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fledge_export import wcet
from fledge_export.timing import Code
from fledge_export.values import Arguments
from fledge_export.wcet import LoopNote, Notes

from fledge_hil.control_tick import ControlTick, PolicyMemory, policy_time
from fledge_hil.mcu import Mcu

FLIGHT_TICK, NORMAL = "flight_tick", "controllerOutOfTree"
IN_THE_LOOP, ESTIMATOR = "in_the_loop_control", "estimatorOutOfTree"
STABILIZER_STACK = 1800
"""Of the task that runs all of these [bytes]: three times 150 words."""
POINTERS: Arguments = ("memory",) * 4

_TURN = "the firmware's PID turns its yaw set-point by a rate times 2 ms, so that one turn too many is the most"
_CLEARED = "the largest structure that is cleared, setpoint_t, has 128 bytes"
_COMPARED = "what the firmware's PID compares, the modes of a set-point, has 7 bytes"
NOTES: Notes = {
    ("controllerPid", "controller_pid.c:55"): LoopNote(2, _TURN),
    ("controllerPid", "controller_pid.c:59"): LoopNote(2, _TURN),
    ("memset", "memset.c:77"): LoopNote(8, _CLEARED),
    ("memset", "memset.c:83"): LoopNote(4, _CLEARED),
    ("memset", "memset.c:93"): LoopNote(4, _CLEARED),
    ("memcmp", "memcmp.c:98"): LoopNote(8, _COMPARED),
}
"""Lines of the public firmware of August 2026 and of newlib 3.3."""
_FAR = {"__kernel_rem_pio2f": "only for angles beyond 200 rad; a heading stays within one turn"}
_CLOCK = {"usecTimestamp": "the firmware's clock, some twenty instructions"}
EXCLUDED: Mapping[str, Mapping[str, str]] = {
    FLIGHT_TICK: {},
    NORMAL: {**_FAR, **_CLOCK, IN_THE_LOOP: "a root of its own: not in normal flight"},
    IN_THE_LOOP: {
        **_FAR,
        **_CLOCK,
        "appchannelSendDataPacket": "the firmware's queue, one packet",
        "supervisorRequestArming": "the firmware's, a handful of instructions",
    },
    ESTIMATOR: {**_FAR, "estimatorKalman": "the firmware's own estimator, which runs without the app too"},
}
"""By root: functions that do not count, and why."""


def app_tick(elf: Path, roots: tuple[str, ...] = tuple(EXCLUDED)) -> dict[str, ControlTick]:
    """Worst case of each root in an image that firmware/boards/crazyflie built.

    Args:
        elf: cf2.elf or cf21bl.elf.
        roots: of EXCLUDED.
    Raises:
        TaintError: the time of the policy depends on data.
        WcetError: a loop without a bound: the firmware or the compiler is another one than NOTES knows.
        ControlFlowError, TimingError, ImageError: see fledge_export.wcet.worst_case.
    """
    mcu, code = Mcu(elf, ready=None), Code(elf)
    name, policy = policy_time(mcu, code, PolicyMemory(output="fledge_output", kept="fledge_flight"))
    return {
        root: ControlTick(wcet.worst_case(elf, root, {name: policy}, NOTES, POINTERS, EXCLUDED[root]), policy)
        for root in roots
    }
