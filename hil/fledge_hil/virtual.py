"""The virtual Crazyflie: a plant, the board that flies it, and everything a client expects on the other end of a link.

No sockets and no clock here: `handle_packet` answers a datagram, `step_ms` advances one millisecond of device time. The
same calls in the same order give the same answers and the same recording.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fledge_sim.contract import Contract, ContractError
from fledge_sim.robot import Robot

from fledge_hil.board import Board, BoardInput, BoardOutput
from fledge_hil.board_messages import FloatArray
from fledge_hil.commander import Commander, Priority
from fledge_hil.crtp import console
from fledge_hil.flight_parameters import FlightParameters
from fledge_hil.gains import stock_gains
from fledge_hil.heartbeat import Heartbeat
from fledge_hil.height_hold import levelled, thrust_fraction
from fledge_hil.in_the_loop import InTheLoop
from fledge_hil.log_blocks import LogService
from fledge_hil.parameter_list import CONTROLLER_OUT_OF_TREE, parameters
from fledge_hil.parameters import ParameterService
from fledge_hil.plant import Plant
from fledge_hil.ports import Ports
from fledge_hil.recording import PERIOD_MS, Recorder
from fledge_hil.setpoint import Setpoint
from fledge_hil.settings import Faults, Settings
from fledge_hil.supervisor import PERIOD_MS as SUPERVISOR_PERIOD_MS
from fledge_hil.supervisor import Facts, State, Supervisor
from fledge_hil.variables import log_variables

__all__ = ["Faults", "Settings", "VirtualCrazyflie"]


class VirtualCrazyflie:
    """See the module's docstring."""

    def __init__(self, robot: Robot, contract: Contract, board: Board, settings: Settings | None = None) -> None:
        if contract.robot_sha256 != robot.sha256:
            raise ContractError(
                f"the policy was trained for robot '{contract.robot}' ({contract.robot_sha256[:8]}), this drone is "
                f"'{robot.name}' ({robot.sha256[:8]}); simulate that robot, or train for this one"
            )
        self.settings = settings or Settings()
        self.plant = Plant(robot, self.settings.surroundings(contract), self.settings.seed)
        self.time_ms = 0
        self.faults = Faults()
        self.recorder = Recorder()
        self.heartbeat = Heartbeat(self)
        self.ports = Ports(self, lambda payload: self._in_the_loop.receive(payload))
        self.commander = Commander(lambda: bytes(self.ports.memories.trajectories.content))
        self.setpoint = Setpoint()
        self.fractions: list[float] = [0.0] * 4
        self.period_ms = self._inferred_ms = 0
        self._outbox: list[bytes] = []
        self._board = board
        self._message = BoardInput()
        self._state_age_ms = 0
        self._held: tuple[list[float], list[float], list[float]] | None = None
        self._in_the_loop = InTheLoop(board, self._message, self.say, round(self.settings.inference_us))
        board_output = board.tick(self._fill())
        self.output = board_output.flight
        self.self_test_passed = bool(self.output.self_test_passed)
        self.supervisor = Supervisor(self.self_test_passed, self.settings.auto_arm)
        self.log = LogService(log_variables(self))
        self.parameters = ParameterService(parameters(self), self.settings.store)
        self._remember_parameters()
        self.parameters.restore()
        self._supervise()
        self._boot_messages()

    @property
    def inference_us(self) -> float:
        """Modelled time of one inference [us]; 0 while the policy does not run."""
        return self.settings.inference_us if self.output.mode else 0.0

    @property
    def state_age_ms(self) -> int:
        """Of the state in the last tick."""
        return self._message.flight.state_age_ms

    def _remember_parameters(self) -> None:
        table = self.parameters
        self._controller = table["stabilizer.controller"]
        self._enable, self._flight_parameters = None, None
        if not self.settings.stock:
            self._enable, self._flight_parameters = table["fledge.enable"], FlightParameters(table)

    def _boot_messages(self) -> None:
        device = self.plant.robot.device_type
        what = "stock controller" if self.settings.stock else f"contract {self.output.contract_hash:08x}"
        self.say(f"fledge: virtual {device}, {what}\n")
        if self.self_test_passed:
            self.say("SYS: Self test passed!\n")
        else:
            self.say("fledge: policy self-test FAILED: weights or golden vectors differ; arming is refused\n")

    @property
    def radio_address(self) -> int:
        """As a radio would call it."""
        return self.settings.radio_address

    def say(self, text: str) -> None:
        """A line on the console; kept until a client is there."""
        self._outbox += console(text)

    # ---- packets -----------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """A new client has the link: it starts without log blocks and with a locked thrust, and is told who we are."""
        self.log.reset()
        self.commander.new_client()
        if self.time_ms:  # else the lines of the boot still wait
            self._boot_messages()

    def handle_packet(self, datagram: bytes) -> list[bytes]:
        """Answers to one datagram; anything malformed is answered with nothing or an error code."""
        return self.ports.answer(datagram)

    def arm(self, wanted: bool) -> bool:
        """Arm or disarm; a refusal says why on the console."""
        locked = wanted and self._in_the_loop.mode
        granted = not locked and self.supervisor.request_arming(wanted)
        if locked:
            self.say("fledge: arming refused: hardware is in the loop; set fledge.hil to 0\n")
        elif not granted and not self.self_test_passed:
            self.say("fledge: arming refused: the policy's self-test failed; flash a good image\n")
        elif not granted:
            self.say(f"SUP: arming refused in state {self.supervisor.state.name}\n")
        return granted

    def recover(self) -> bool:
        """From a crash, once upright."""
        return self.supervisor.request_recovery()

    def emergency_stop(self) -> None:
        """Motors off, locked until reboot."""
        self.supervisor.emergency_stop()
        self.say("SUP: Locked, reboot required\n")

    def choose_hil(self, value: float) -> None:
        """Parameter fledge.hil; it keeps its value when the change is refused."""
        self.parameters["fledge.hil"].value = self._in_the_loop.choose(value, armed=self.supervisor.armed)

    def reset_estimator(self, value: float) -> None:
        """Parameter kalman.resetEstimation: starts again from kalman.initialX, Y, Z and Yaw."""
        if value:
            x, y, z, yaw = (float(self.parameters[f"kalman.initial{axis}"].value) for axis in ("X", "Y", "Z", "Yaw"))
            self.plant.estimator.initial_pose = (x, y, z, yaw)
            self.plant.estimator.reset(self.plant.truth)

    def tune(self, _: float = 0.0) -> None:
        """A gain was written: all of them go to the board."""
        self._board.tune(stock_gains(self.parameters))

    def override_motors(self, _: float = 0.0) -> None:
        """Parameters motorPowerSet: raw duty past controller and supervisor, as in the firmware."""
        group = self.parameters
        raw = [float(group[f"motorPowerSet.m{motor}"].value) / 65535 for motor in range(1, 5)]
        self.plant.duty_override = raw if group["motorPowerSet.enable"].value else None

    def set_armed(self, value: float) -> None:
        """Parameter system.arm."""
        self.arm(bool(value))

    def set_tumble_check(self, value: float) -> None:
        """Parameter supervisor.tmblChckEn."""
        self.supervisor.tumble_check = bool(value)

    # ---- one millisecond ---------------------------------------------------------------------------------------------

    def step_ms(self) -> list[bytes]:
        """Advance device time by one tick; returns what the drone sends on its own: console lines and log data."""
        self.time_ms += 1
        self.setpoint = self.commander.tick(self.time_ms, self.plant.estimate)
        if self.supervisor.level_out:
            self.setpoint = levelled(self.setpoint)
        board_output = self._tick_board()
        if board_output.flight.inferences != self.output.inferences:
            self.period_ms, self._inferred_ms = self.time_ms - self._inferred_ms, self.time_ms
        self.output = board_output.flight
        self.fractions = board_output.motor_fraction[:]
        self.plant.step(self.fractions)
        self._apply_faults()
        self._in_the_loop.show(self.plant.estimate)
        if self.time_ms % SUPERVISOR_PERIOD_MS == 0:
            self._supervise()
        if self.settings.record and self.time_ms % PERIOD_MS == 0:
            self._record()
        packets = self._outbox + self.log.due(self.time_ms)
        self._outbox = []
        return packets

    def _tick_board(self) -> BoardOutput:
        if not self._in_the_loop.mode:
            return self._board.tick(self._fill())
        self._fill_switches(self._message)
        output, answers = self._in_the_loop.step(self.time_ms)
        self._outbox += answers
        return output

    def _apply_faults(self) -> None:
        estimate = self.plant.estimate
        if not self.faults.state_frozen:
            self._held, self._state_age_ms = None, 0
        else:
            self._held = self._held or (estimate.position_world, estimate.velocity_world, estimate.quaternion_xyzw)
            estimate.position_world, estimate.velocity_world, estimate.quaternion_xyzw = self._held
            self._state_age_ms += 1
        if self.faults.position_nan:
            estimate.position_world = [math.nan] * 3

    def _fill(self) -> BoardInput:
        message, estimate, setpoint = self._message, self.plant.estimate, self.setpoint
        flight = message.flight
        flight.time_ms = self.time_ms
        _put(flight.position_world, estimate.position_world)
        _put(flight.velocity_world, estimate.velocity_world)
        _put(flight.quaternion_xyzw, estimate.quaternion_xyzw)
        _put(flight.gyro_deg_s, estimate.gyro_deg_s)
        flight.setpoint_mode = setpoint.mode
        _put(flight.setpoint_position_world, setpoint.position_world)
        _put(flight.setpoint_velocity_world, setpoint.velocity_world)
        _put(message.setpoint_acceleration_world, setpoint.acceleration_world)
        _put(message.setpoint_attitude_deg, (setpoint.roll_deg, setpoint.pitch_deg))
        message.setpoint_yaw_deg = setpoint.yaw_deg or 0.0
        message.setpoint_yaw_rate_deg_s = setpoint.yaw_rate_deg_s
        message.setpoint_thrust_fraction = thrust_fraction(setpoint, self.plant.robot, estimate)
        if self.time_ms:
            self._fill_switches(message)
        return message

    def _fill_switches(self, message: BoardInput) -> None:
        flight = message.flight
        if self._enable is not None and self._flight_parameters is not None:
            flight.enable = int(bool(self._enable.value) and self._controller.value == CONTROLLER_OUT_OF_TREE)
            self._flight_parameters.fill(flight)
        flight.state_age_ms = self._state_age_ms
        flight.setpoint_age_ms = self.commander.age_ms(self.time_ms)
        flight.time_us = 1000 * self.time_ms & 0xFFFFFFFF
        flight.rotors_idle = not self.supervisor.flying
        flight.position_variance = self.plant.estimate.position_variance
        flight.battery_low = self.plant.battery_low
        message.motors_allowed = self.supervisor.motors_allowed

    def _supervise(self) -> None:
        before = self.supervisor.state
        self.supervisor.update(
            Facts(
                self.time_ms,
                self.commander.age_ms(self.time_ms),
                any(self.plant.duty),
                self.plant.estimate.acceleration_g[2],
                self.commander.high_level_active,
                self.commander.planner.finished(self.time_ms / 1000),
                self.commander.priority is Priority.CLIENT,
            )
        )
        if not self.supervisor.armed:
            self.commander.release()
        elif self.supervisor.flying:  # a beat of an earlier flight does not count before the first of this one
            self.heartbeat.watch()
        if self.supervisor.state is not before:
            self._announce(self.supervisor.state)

    def _announce(self, state: State) -> None:
        lines = {
            State.WARNING_LEVEL_OUT: "SUP: set-point timeout, levelling out\n",
            State.LOCKED: "SUP: Locked, reboot required\n",
            State.CRASHED: "SUP: Crashed, recover to fly again\n",
        }
        if state in lines:
            self.say(lines[state])

    def _record(self) -> None:
        flight, estimate = self.output, self.plant.estimate
        self.recorder.add(
            (
                self.time_ms / 1000,
                *self.plant.truth,
                *estimate.position_world,
                *estimate.velocity_world,
                *flight.reference_position_world,
                *flight.reference_velocity_world,
                *flight.action,
                *self.fractions,
                flight.guard,
                flight.mode,
                self.supervisor.state,
                self.setpoint.mode,
                self.plant.voltage,
            )
        )


def _put(array: FloatArray, values: Sequence[float]) -> None:
    array[:] = values  # type: ignore[call-overload]
