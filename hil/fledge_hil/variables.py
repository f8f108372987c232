"""What the virtual Crazyflie can log: the names that cflib and its users expect, and our group `fledge`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fledge_hil.toc import LogVariable, Number

if TYPE_CHECKING:
    from fledge_hil.virtual import VirtualCrazyflie


def log_variables(drone: VirtualCrazyflie) -> list[LogVariable]:
    """Everything that can be streamed."""
    return [
        *_estimate(drone),
        *_setpoint(drone),
        *_health(drone),
        *_positioning(drone),
        *([] if drone.settings.stock else _fledge(drone)),
    ]


def _each(names: str, type_name: str, read: Callable[[int], Number]) -> list[LogVariable]:
    """One variable per name, reading element 0, 1, ..."""

    def element(index: int) -> Callable[[], Number]:
        return lambda: read(index)

    return [LogVariable(name, type_name, element(index)) for index, name in enumerate(names.split())]


def _estimate(drone: VirtualCrazyflie) -> list[LogVariable]:
    estimate = drone.plant.estimate
    angles = "stateEstimate.roll stateEstimate.pitch stateEstimate.yaw"
    return [
        *_each("stateEstimate.x stateEstimate.y stateEstimate.z", "float", lambda i: estimate.position_world[i]),
        *_each("stateEstimate.vx stateEstimate.vy stateEstimate.vz", "float", lambda i: estimate.velocity_world[i]),
        *_each(angles, "float", lambda i: estimate.euler_deg[i]),
        *_each(
            "stateEstimate.qx stateEstimate.qy stateEstimate.qz stateEstimate.qw",
            "float",
            lambda i: estimate.quaternion_xyzw[i],
        ),
        *_each("stabilizer.roll stabilizer.pitch stabilizer.yaw", "float", lambda i: estimate.euler_deg[i]),
        *_each("gyro.x gyro.y gyro.z", "float", lambda i: estimate.gyro_deg_s[i]),
        *_each(
            "stateEstimate.ax stateEstimate.ay stateEstimate.az", "float", lambda i: estimate.acceleration_world_g[i]
        ),
        *_each("acc.x acc.y acc.z", "float", lambda i: estimate.acceleration_g[i]),
        *_each(
            "stateEstimateZ.x stateEstimateZ.y stateEstimateZ.z",
            "int16",
            lambda i: 1000 * estimate.position_world[i],
        ),
        *_each(
            "stateEstimateZ.vx stateEstimateZ.vy stateEstimateZ.vz",
            "int16",
            lambda i: 1000 * estimate.velocity_world[i],
        ),
        *_each("kalman.stateX kalman.stateY kalman.stateZ", "float", lambda i: estimate.position_world[i]),
        *_each("kalman.varPX kalman.varPY kalman.varPZ", "float", lambda i: estimate.variance[i]),
        LogVariable("range.zrange", "uint16", lambda: 1000 * max(0.0, estimate.position_world[2])),
        LogVariable("baro.asl", "float", lambda: estimate.position_world[2]),
    ]


def _setpoint(drone: VirtualCrazyflie) -> list[LogVariable]:
    return [
        *_each("ctrltarget.x ctrltarget.y ctrltarget.z", "float", lambda i: drone.setpoint.position_world[i]),
        *_each("ctrltarget.vx ctrltarget.vy ctrltarget.vz", "float", lambda i: drone.setpoint.velocity_world[i]),
        LogVariable("ctrltarget.roll", "float", lambda: drone.setpoint.roll_deg),
        LogVariable("ctrltarget.pitch", "float", lambda: drone.setpoint.pitch_deg),
        LogVariable("ctrltarget.yaw", "float", lambda: drone.setpoint.yaw_deg or 0.0),
        LogVariable("controller.roll", "float", lambda: drone.setpoint.roll_deg),
        LogVariable("controller.pitch", "float", lambda: drone.setpoint.pitch_deg),
        LogVariable("controller.yaw", "float", lambda: drone.setpoint.yaw_deg or 0.0),
        LogVariable("stabilizer.thrust", "float", lambda: 65535 * sum(drone.fractions) / 4),
    ]


def _health(drone: VirtualCrazyflie) -> list[LogVariable]:
    plant = drone.plant
    return [
        LogVariable("pm.vbat", "float", lambda: plant.voltage),
        LogVariable("pm.vbatMV", "uint16", lambda: round(1000 * plant.voltage)),
        LogVariable("pm.batteryLevel", "uint8", lambda: plant.battery.level_percent),
        LogVariable("pm.state", "int8", lambda: 3 if plant.battery_low else 0),
        *_each("motor.m1 motor.m2 motor.m3 motor.m4", "uint16", lambda i: round(65535 * plant.duty[i])),
        *_each("motor.m1req motor.m2req motor.m3req motor.m4req", "int32", lambda i: round(65535 * plant.duty[i])),
        LogVariable("supervisor.info", "uint16", lambda: drone.supervisor.bits),
        LogVariable("sys.canfly", "uint8", lambda: int(drone.supervisor.motors_allowed)),
        LogVariable("sys.isFlying", "uint8", lambda: drone.supervisor.bits >> 4 & 1),
        LogVariable("sys.isTumbled", "uint8", lambda: int(drone.supervisor.tumbled)),
        LogVariable("sys.armed", "int8", lambda: int(drone.supervisor.armed)),
        LogVariable("stabilizer.rtStab", "float", lambda: 1000.0),
        LogVariable("radio.rssi", "uint8", lambda: 30),
        LogVariable("radio.isConnected", "uint8", lambda: 1),
        LogVariable("memTst.errCntW", "uint32", lambda: drone.ports.memories.tester.errors),
    ]


def _positioning(drone: VirtualCrazyflie) -> list[LogVariable]:
    estimator, sent = drone.plant.estimator, drone.ports.localization
    return [
        *_each("ext_pos.X ext_pos.Y ext_pos.Z", "float", lambda i: sent.position[i]),
        *_each("locSrv.x locSrv.y locSrv.z", "float", lambda i: sent.position[i]),
        *_each("locSrv.qx locSrv.qy locSrv.qz locSrv.qw", "float", lambda i: sent.quaternion_xyzw[i]),
        LogVariable("estimator.rtRej", "float", lambda: float(estimator.rejected)),
    ]


def _fledge(drone: VirtualCrazyflie) -> list[LogVariable]:
    def out(field: str) -> Callable[[], Number]:
        return lambda: getattr(drone.output, field)

    return [
        LogVariable("fledge.contract", "uint32", out("contract_hash")),
        LogVariable("fledge.mode", "uint8", out("mode")),
        LogVariable("fledge.guard", "uint8", out("guard")),
        LogVariable("fledge.guardLatch", "uint8", out("guard_latched")),
        LogVariable("fledge.failsafe", "uint8", out("failsafe")),
        LogVariable("fledge.inferUs", "float", lambda: drone.inference_us),
        LogVariable("fledge.periodUs", "float", lambda: 1000.0 * drone.period_ms),
        LogVariable("fledge.stateAge", "uint32", lambda: drone.state_age_ms),
        LogVariable("fledge.misses", "uint32", out("deadline_misses")),
        LogVariable("fledge.infers", "uint32", out("inferences")),
        LogVariable("fledge.native", "uint32", out("native_steps")),
        LogVariable("fledge.lost", "uint32", out("native_lost")),
        LogVariable("fledge.refOver", "uint8", out("reference_over")),
        LogVariable("fledge.biasUs", "float", out("period_bias_us")),
        LogVariable("fledge.jitterUs", "float", out("period_jitter_us")),
        *_each("fledge.a1 fledge.a2 fledge.a3 fledge.a4", "float", lambda i: drone.output.action[i]),
        *_each("fledge.rx fledge.ry fledge.rz", "float", lambda i: drone.output.reference_position_world[i]),
    ]
