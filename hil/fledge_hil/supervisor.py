"""Supervisor: the state machine that decides whether motors may turn.

States and time-outs are those of the Crazyflie's firmware. It runs at 25 Hz of device time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

PERIOD_MS = 40
LEVEL_OUT_MS = 500
"""Older set-points make the drone level out."""
SHUTDOWN_MS = 2000
"""Older set-points stop the motors and lock the drone."""
EMERGENCY_WATCHDOG_MS = 1000
READY_TIMEOUT_MS = 30_000
"""Armed without taking off: disarmed again."""
FLYING_HYSTERESIS_MS = 2000
TUMBLE_MS, UPSIDE_DOWN_MS = 1000, 100
TUMBLE_G, UPSIDE_DOWN_G = 0.5, -0.2


class State(IntEnum):
    """Where the drone is between the shelf and the air."""

    PRE_FLIGHT_NOT_PASSED = 1
    PRE_FLIGHT_PASSED = 2
    ARMING = 3
    READY_TO_FLY = 4
    FLYING = 5
    LANDED = 6
    RESET = 7
    WARNING_LEVEL_OUT = 8
    FREE_FALL = 9
    LOCKED = 10
    CRASHED = 11


_MAY_TURN = frozenset((State.READY_TO_FLY, State.FLYING, State.LANDED, State.WARNING_LEVEL_OUT))
_ARMED = _MAY_TURN | {State.ARMING}


@dataclass
class Facts:
    """What the supervisor looks at, once per period."""

    time_ms: int
    setpoint_age_ms: int
    motors_turn: bool
    acceleration_z_g: float
    """Specific force along body z [g]; 1 at rest."""
    high_level_active: bool = False
    trajectory_finished: bool = True
    high_level_disabled: bool = False


class Supervisor:
    """See the module's docstring."""

    def __init__(self, self_test_passed: bool, auto_arm: bool = False) -> None:
        """`auto_arm`: arm as soon as the pre-flight checks pass, without being asked."""
        self.state = State.PRE_FLIGHT_NOT_PASSED
        self.auto_arm = auto_arm
        self.self_test_passed = self_test_passed
        self.tumble_check = True
        self.tumbled = False
        self._flying = False
        self._entered_ms = 0
        self._motors_seen_ms = -FLYING_HYSTERESIS_MS
        self._upright_ms = 0
        self._not_upside_down_ms = 0
        self._watchdog_ms: int | None = None
        self._facts = Facts(0, 0, False, 1.0)

    @property
    def motors_allowed(self) -> bool:
        """Whether controllers reach the motors."""
        return self.state in _MAY_TURN

    @property
    def armed(self) -> bool:
        """Whether an arming request has been granted."""
        return self.state in _ARMED

    @property
    def level_out(self) -> bool:
        """Whether the set-point has to be replaced by a level attitude."""
        return self.state is State.WARNING_LEVEL_OUT

    def request_arming(self, arm: bool) -> bool:
        """Answer to a client; disarming always works and stops the motors at once."""
        if not arm:
            if self.state not in (State.LOCKED, State.CRASHED):
                self._enter(State.PRE_FLIGHT_NOT_PASSED)
            return True
        if self.state is State.PRE_FLIGHT_PASSED:
            self._enter(State.ARMING)
        return self.armed

    def request_recovery(self) -> bool:
        """Out of the crashed state; a locked drone needs a reboot."""
        if self.state is State.CRASHED and not self.tumbled:
            self._enter(State.RESET)
        return self.state not in (State.CRASHED, State.LOCKED)

    def emergency_stop(self) -> None:
        """Motors off at once, locked until reboot."""
        self._enter(State.LOCKED)

    def feed_watchdog(self) -> None:
        """From the first call on, one is needed every EMERGENCY_WATCHDOG_MS."""
        self._watchdog_ms = self._facts.time_ms

    def update(self, facts: Facts) -> None:
        """One period."""
        self._facts = facts
        if facts.motors_turn:
            self._motors_seen_ms = facts.time_ms
        self._flying = facts.time_ms - self._motors_seen_ms < FLYING_HYSTERESIS_MS
        self._check_attitude(facts)
        if self._watchdog_ms is not None and facts.time_ms - self._watchdog_ms > EMERGENCY_WATCHDOG_MS:
            self.emergency_stop()
        following = self._next(facts)
        if following is not None:
            self._enter(following)

    def _check_attitude(self, facts: Facts) -> None:
        """Free fall and lying on the side look the same for a second; upside down shows sooner."""
        if facts.acceleration_z_g >= TUMBLE_G:
            self._upright_ms = facts.time_ms
        if facts.acceleration_z_g >= UPSIDE_DOWN_G:
            self._not_upside_down_ms = facts.time_ms
        self.tumbled = self.tumble_check and (
            facts.time_ms - self._upright_ms > TUMBLE_MS or facts.time_ms - self._not_upside_down_ms > UPSIDE_DOWN_MS
        )

    def _next(self, facts: Facts) -> State | None:
        state = self.state
        if state in (State.PRE_FLIGHT_NOT_PASSED, State.PRE_FLIGHT_PASSED):
            passed = self.self_test_passed and not self.tumbled and not facts.motors_turn
            if passed and self.auto_arm and state is State.PRE_FLIGHT_PASSED:
                return State.ARMING
            return State.PRE_FLIGHT_PASSED if passed else State.PRE_FLIGHT_NOT_PASSED
        if state is State.ARMING:
            return State.READY_TO_FLY
        if state is State.READY_TO_FLY:
            return self._next_ready(facts)
        if state in (State.FLYING, State.WARNING_LEVEL_OUT):
            return self._next_flying(facts)
        if state is State.LANDED:
            return State.FLYING if facts.motors_turn else State.RESET
        if state is State.RESET:
            return State.PRE_FLIGHT_NOT_PASSED
        return State.LOCKED if state is State.FREE_FALL else None

    def _next_ready(self, facts: Facts) -> State | None:
        if self.tumbled:
            return State.PRE_FLIGHT_NOT_PASSED
        if facts.motors_turn:
            return State.FLYING
        return State.PRE_FLIGHT_NOT_PASSED if facts.time_ms - self._entered_ms > READY_TIMEOUT_MS else None

    def _next_flying(self, facts: Facts) -> State:
        if self.tumbled:
            return State.CRASHED
        if not self._flying:
            return State.LANDED
        if facts.setpoint_age_ms > SHUTDOWN_MS:
            return State.FREE_FALL
        return State.WARNING_LEVEL_OUT if facts.setpoint_age_ms > LEVEL_OUT_MS else State.FLYING

    def _enter(self, state: State) -> None:
        if state is not self.state:
            self.state, self._entered_ms = state, self._facts.time_ms

    @property
    def flying(self) -> bool:
        """What the firmware calls so: motors have turned within the last two seconds."""
        return self.state in (State.FLYING, State.WARNING_LEVEL_OUT)

    @property
    def bits(self) -> int:
        """Bit field of supervisor.info and of port 9, bit 0 first."""
        facts, state = self._facts, self.state
        flags = (
            state is State.PRE_FLIGHT_PASSED or self.armed,
            self.armed,
            self.auto_arm,
            self.motors_allowed,
            self.flying,
            self.tumbled,
            state is State.LOCKED,
            state is State.CRASHED,
            facts.high_level_active,
            facts.trajectory_finished,
            facts.high_level_disabled,
        )
        return sum(1 << bit for bit, flag in enumerate(flags) if flag)
