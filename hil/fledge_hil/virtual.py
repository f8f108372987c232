"""The virtual Crazyflie: a plant, the board that flies it, and everything a client expects on the other end of a link.

No sockets and no clock here: `handle_packet` answers a datagram, `step_ms` advances one millisecond of device time. The
same calls in the same order give the same answers and the same recording.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from fledge_sim import __version__
from fledge_sim.contract import Contract, ContractError
from fledge_sim.randomize import Randomization
from fledge_sim.robot import Robot

from fledge_hil import supervisor_port
from fledge_hil.air import Wind
from fledge_hil.battery import Battery
from fledge_hil.board import Board, BoardInput, BoardOutput, SetpointMode
from fledge_hil.board_messages import FloatArray
from fledge_hil.commander import Commander
from fledge_hil.crtp import NULL_PACKET, Port, console, is_null, packet, split
from fledge_hil.estimate import noise_of
from fledge_hil.estimator import EstimateErrors
from fledge_hil.flight_parameters import FlightParameters
from fledge_hil.heartbeat import Heartbeat
from fledge_hil.in_the_loop import InTheLoop
from fledge_hil.link import Platform, link, memory
from fledge_hil.log_blocks import LogService
from fledge_hil.parameters import ParameterService
from fledge_hil.plant import DECKS, Plant, Surroundings
from fledge_hil.recording import PERIOD_MS, Recorder
from fledge_hil.setpoint import Setpoint
from fledge_hil.supervisor import PERIOD_MS as SUPERVISOR_PERIOD_MS
from fledge_hil.supervisor import Facts, State, Supervisor
from fledge_hil.variables import CONTROLLER_OUT_OF_TREE, log_variables, parameters

HEIGHT_BANDWIDTH = 2.0
"""[1/s], of the height hold under an attitude set-point; critically damped."""
BLIND_WEIGHT = 0.95
"""[1], thrust over weight of that hold while the height is unknown: sinks slowly, as the stock controller does."""


@dataclass(frozen=True)
class Settings:
    """What can be chosen about a virtual drone."""

    seed: int = 0
    """Of the sensor noise, the body, the disturbances and the air."""
    battery: Battery = field(default_factory=Battery)
    wind: Wind = field(default_factory=Wind)
    noise_scale: float = 1.0
    """Times the white noise that the policy was trained with."""
    errors: EstimateErrors = field(default_factory=EstimateErrors)
    """Of the estimator, beside that noise."""
    decks: tuple[str, ...] = DECKS
    """What is mounted; decides what the estimator can know."""
    start: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where it stands: x, y [m] and yaw [deg]."""
    spread: Randomization | None = None
    """How far its body differs from the robot file, and what pushes it; None: nominal and undisturbed."""
    record: bool = True
    """Keep what happens, 0.13 MB per second of device time; off for a drone that is served for hours."""
    inference_us: float = 0.0
    """Modelled time of one inference on the microcontroller, for the log variable [us]."""


@dataclass
class Faults:
    """What a test may break while the drone runs."""

    position_nan: bool = False
    """The estimator answers NaN for the position."""
    state_frozen: bool = False
    """The estimator stops updating: position, velocity and attitude stay, their age grows. The gyro lives on."""


class VirtualCrazyflie:
    """See the module's docstring."""

    def __init__(self, robot: Robot, contract: Contract, board: Board, settings: Settings | None = None) -> None:
        if contract.robot_sha256 != robot.sha256:
            raise ContractError(
                f"the policy was trained for robot '{contract.robot}' ({contract.robot_sha256[:8]}), this drone is "
                f"'{robot.name}' ({robot.sha256[:8]}); simulate that robot, or train for this one"
            )
        self.settings = settings or Settings()
        self.plant = Plant(robot, _surroundings(contract, self.settings), self.settings.seed)
        self.time_ms = 0
        self.faults = Faults()
        self.recorder = Recorder()
        self.heartbeat = Heartbeat(self)
        self.commander = Commander()
        self.setpoint = Setpoint()
        self.fractions: list[float] = [0.0] * 4
        self._outbox: list[bytes] = []
        self._board = board
        self._message = BoardInput()
        self._state_age_ms = 0
        self._held: tuple[list[float], list[float], list[float]] | None = None
        self._in_the_loop = InTheLoop(board, self._message, self.say, round(self.settings.inference_us))
        board_output = board.tick(self._fill())
        self.output = board_output.flight
        self.self_test_passed = bool(self.output.self_test_passed)
        self.supervisor = Supervisor(self.self_test_passed)
        self.log = LogService(log_variables(self))
        self.parameters = ParameterService(parameters(self))
        receive = self._in_the_loop.receive
        self._platform = Platform(robot.device_type, f"fledge {__version__}", self.arm, self.recover, receive)
        self._remember_parameters()
        self._supervise()
        self._boot_messages()

    @property
    def inference_us(self) -> float:
        """Modelled time of one inference [us]; 0 while the policy does not run."""
        return self.settings.inference_us if self.output.mode else 0.0

    def _remember_parameters(self) -> None:
        table = self.parameters
        self._controller, self._enable = table["stabilizer.controller"], table["fledge.enable"]
        self._high_level, self._flight_parameters = table["commander.enHighLevel"], FlightParameters(table)

    def _boot_messages(self) -> None:
        self.say(f"fledge: virtual {self.plant.robot.device_type}, contract {self.output.contract_hash:08x}\n")
        if self.self_test_passed:
            self.say("SYS: Self test passed!\n")
        else:
            self.say("fledge: policy self-test FAILED: weights or golden vectors differ; arming is refused\n")

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
        if is_null(datagram):
            return [NULL_PACKET]
        parts = split(datagram)
        if parts is None:
            return []
        port, channel, payload = parts
        if port == Port.LINK:
            return link(channel, payload)
        if port == Port.PLATFORM:
            return self._platform.handle(channel, payload)
        if port == Port.LOG:
            return self.log.handle(channel, payload, self.time_ms)
        if port == Port.PARAM:
            return self.parameters.handle(channel, payload)
        if port == Port.MEMORY:
            return memory(channel, payload)
        if port == Port.SUPERVISOR:
            return supervisor_port.answer(self, channel, payload)
        return self._handle_setpoint(port, channel, payload)

    def _handle_setpoint(self, port: int, channel: int, payload: bytes) -> list[bytes]:
        if port == Port.COMMANDER:
            self.commander.rpyt(payload, self.time_ms)
        elif port == Port.COMMANDER_GENERIC:
            self.commander.generic(channel, payload, self.time_ms)
        elif port == Port.HIGH_LEVEL and self._high_level.value:
            if not self.supervisor.armed:
                self.say("SUP: not armed, high-level command ignored\n")
            answer = self.commander.high_level(payload, self.time_ms, self.plant.estimate)
            return [packet(Port.HIGH_LEVEL, channel, answer)]
        elif port == Port.LOCALIZATION and channel == 1 and payload[:1] in (b"\3", b"\4"):
            self.emergency_stop() if payload[0] == 3 else self.supervisor.feed_watchdog()
        return []

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
        self.setpoint = self._levelled(self.commander.tick(self.time_ms, self.plant.estimate))
        board_output = self._tick_board()
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

    def _levelled(self, setpoint: Setpoint) -> Setpoint:
        """Level attitude at the height of a set-point that is too old, as the firmware's supervisor does."""
        if not self.supervisor.level_out or setpoint.mode is SetpointMode.NONE:
            return setpoint
        height = setpoint.height if setpoint.mode is SetpointMode.ATTITUDE else setpoint.position_world[2]
        return Setpoint(SetpointMode.ATTITUDE, height=height, thrust_fraction=setpoint.thrust_fraction)

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
        _put(message.setpoint_attitude_deg, (setpoint.roll_deg, setpoint.pitch_deg))
        message.setpoint_yaw_deg = setpoint.yaw_deg or 0.0
        message.setpoint_yaw_rate_deg_s = setpoint.yaw_rate_deg_s
        message.setpoint_thrust_fraction = self._thrust(setpoint)
        if self.time_ms:
            self._fill_switches(message)
        return message

    def _fill_switches(self, message: BoardInput) -> None:
        flight = message.flight
        flight.enable = int(bool(self._enable.value) and self._controller.value == CONTROLLER_OUT_OF_TREE)
        self._flight_parameters.fill(flight)
        flight.state_age_ms = self._state_age_ms
        flight.setpoint_age_ms = self.commander.age_ms(self.time_ms)
        flight.time_us = 1000 * self.time_ms & 0xFFFFFFFF
        flight.rotors_idle = not self.supervisor.flying
        flight.position_variance = self.plant.estimate.position_variance
        flight.battery_low = self.plant.battery_low
        message.motors_allowed = self.supervisor.motors_allowed

    def _thrust(self, setpoint: Setpoint) -> float:
        """Thrust of an attitude set-point; one that holds a height: m (g + k^2 e - 2 k v) over the tilt's cosine."""
        if setpoint.height is None or setpoint.mode is not SetpointMode.ATTITUDE:
            return setpoint.thrust_fraction
        robot, estimate, k = self.plant.robot, self.plant.estimate, HEIGHT_BANDWIDTH
        error = setpoint.height - estimate.position_world[2]
        x, y, _, _ = estimate.quaternion_xyzw
        upward = robot.gravity + k * k * error - 2 * k * estimate.velocity_world[2]
        thrust = robot.mass * upward / max(0.5, 1 - 2 * (x * x + y * y)) / (4 * robot.thrust_max)
        blind = BLIND_WEIGHT * robot.mass * robot.gravity / (4 * robot.thrust_max)
        return max(0.0, min(1.0, thrust)) if math.isfinite(thrust) else blind

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
                self.commander.priority == 2,
            )
        )
        if not self.supervisor.armed:
            self.commander.release()
        else:
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


def _surroundings(contract: Contract, settings: Settings) -> Surroundings:
    return Surroundings(
        noise_of(contract, settings.noise_scale),
        settings.errors,
        settings.battery,
        settings.wind,
        settings.decks,
        settings.start,
        settings.spread,
    )


def _put(array: FloatArray, values: Sequence[float]) -> None:
    array[:] = values  # type: ignore[call-overload]
