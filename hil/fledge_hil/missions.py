"""What each kind of plan does between hover and landing; the policy flies unless a line says otherwise."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping

from fledge_hil import plans
from fledge_hil.cockpit import AbortedError, Cockpit
from fledge_hil.plans import Kind, Point
from fledge_hil.soak import MINUTE

_STREAM_SECONDS = 0.02
"""Between two streamed set-points [s]."""
STREAMED_SECONDS, SILENT_SECONDS = 2.0, 5.0
"""Of a client that streams, and then does not [s]."""
_SOAK_RANGE = (1.5, 4.0)
"""Time for one leg [s]."""
_SWITCH_SECONDS = 0.05
"""[s], until the log shows who flies."""

Centre = Point
"""Reference of the hover [m, world]: where missions begin and end."""
Mission = Callable[[Cockpit, Centre], None]


def hover(cockpit: Cockpit, centre: Centre) -> None:
    """Nothing more than the hover before."""


def figure_eight(cockpit: Cockpit, centre: Centre) -> None:
    """Laps at full speed; then the drone flies on to the centre and stops there by itself."""
    plan, client = cockpit.plan, cockpit.client
    if plan.laps <= 0:
        return
    client.set_parameter("fledge.fePeriod", plan.period)
    client.set_parameter("fledge.feScale", plan.scale)
    client.set_parameter("fledge.ref", 1)
    cockpit.phase("figure-eight")
    cockpit.wait(plan.figure_seconds)
    cockpit.phase("return")
    client.set_parameter("fledge.ref", 0)
    cockpit.wait(plan.return_seconds)


def waypoints(cockpit: Cockpit, centre: Centre) -> None:
    """From point to point, with a rest at each."""
    cockpit.phase("waypoints")
    x0, y0, _ = cockpit.home
    for (x, y, z), seconds in plans.legs((0.0, 0.0, cockpit.plan.height), cockpit.plan):
        cockpit.client.go_to((x0 + x, y0 + y, z), 0.0, seconds)
        cockpit.wait(seconds + plans.REST_SECONDS)


def recover(cockpit: Cockpit, centre: Centre) -> None:
    """The stock controller leans the drone until it runs away; the policy takes over in the middle of it."""
    plan, client = cockpit.plan, cockpit.client
    for throw in range(plan.throws):
        cockpit.phase("throw")
        cockpit.expect_policy(False)
        angle = 2 * math.pi * throw / plan.throws
        roll, pitch = plan.lean_deg * math.sin(angle), -plan.lean_deg * math.cos(angle)
        end, due = cockpit.time + plans.LEAN_SECONDS, -math.inf
        while cockpit.time < end:
            if cockpit.time >= due:
                client.lean(roll, pitch, plan.height)
                due = cockpit.time + _STREAM_SECONDS
            cockpit.step()
        client.let_go()
        client.go_to(centre, 0.0, 1.5)
        cockpit.expect_policy(True)
        cockpit.wait(_SWITCH_SECONDS)
        cockpit.phase("recover")
        cockpit.wait(plans.RECOVER_SECONDS - _SWITCH_SECONDS)


def handover(cockpit: Cockpit, centre: Centre) -> None:
    """To and fro along x, each controller for a while, changed in motion."""
    x, y, z = centre
    for turn in range(cockpit.plan.handovers):
        cockpit.phase("stock")
        goal = (x + (0.5 if turn % 2 == 0 else -0.5), y, z)
        cockpit.client.go_to(goal, 0.0, 2 * plans.HANDOVER_SECONDS)
        cockpit.expect_policy(False)
        cockpit.wait(plans.HANDOVER_SECONDS)
        cockpit.expect_policy(True)
        cockpit.wait(_SWITCH_SECONDS)
        cockpit.phase("handover")
        cockpit.wait(plans.HANDOVER_SECONDS)


def soak(cockpit: Cockpit, centre: Centre) -> None:
    """Random places, random times, for as long as the plan says."""
    generator = random.Random(cockpit.plan.soak_seed)
    cockpit.phase("soak")
    end, minute = cockpit.time + cockpit.plan.duration, cockpit.time
    while cockpit.time < end:
        if cockpit.time - minute >= MINUTE:
            cockpit.close_minute(minute)
            minute = cockpit.time
        x, y = (axis + generator.uniform(-plans.REACH, plans.REACH) for axis in centre[:2])
        z = centre[2] + generator.uniform(-plans.REACH / 2, plans.REACH / 2)
        seconds = generator.uniform(*_SOAK_RANGE)
        distance = math.dist((x, y, z), cockpit.reference())
        cockpit.client.go_to((x, y, max(z, 0.3)), 0.0, max(seconds, distance / plans.SPEED))
        cockpit.wait(min(seconds, max(0.0, end - cockpit.time)))
    cockpit.close_minute(minute)


def stream(cockpit: Cockpit, centre: Centre) -> None:
    """A client that plans itself, sends 50 set-points per second, and falls silent: no flight plan, a fault."""
    cockpit.phase("streamed")
    end, due = cockpit.time + STREAMED_SECONDS, -math.inf
    while cockpit.time < end + SILENT_SECONDS:
        if due <= cockpit.time < end:
            cockpit.client.hold(centre)
            due = cockpit.time + _STREAM_SECONDS
        cockpit.step()


MISSIONS: Mapping[Kind, Mission] = {
    "figure8": figure_eight,
    "hover": hover,
    "waypoints": waypoints,
    "recover": recover,
    "handover": handover,
    "soak": soak,
}


def require_height(cockpit: Cockpit) -> None:
    """Raises AbortedError when the take-off did not lead up."""
    height = cockpit.now["stateEstimate.z"] - cockpit.home[2]
    if height < cockpit.plan.height / 2:
        raise AbortedError(f"after take-off the drone is at {height:.2f} m, not at {cockpit.plan.height:.2f} m")
