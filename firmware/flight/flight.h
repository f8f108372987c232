/* flight.h: flies the exported policy on any platform. Pure C11: no firmware headers, no allocation, no clock.
 *
 * The platform calls flight_tick every 1 ms with what it knows and obeys the answer: while `controls_motors` is 1 the
 * four fractions go to the motors, else the platform's stock controller flies. Everything in `struct flight_input` is
 * in the Crazyflie firmware's own units and order; observe.c converts, nothing else does.
 *
 * Layout: both structs are 4-byte fields only, so that host, emulated board and Python (hil/fledge_hil/board.py) agree.
 */
#ifndef FLEDGE_FLIGHT_H
#define FLEDGE_FLIGHT_H

#include <stdint.h>

#include "policy.h" /* emitted with the weights: sizes, rates, action mapping, contract hash */

enum flight_setpoint_mode {
    FLIGHT_SETPOINT_NONE = 0,     /* no set-point: stock controller */
    FLIGHT_SETPOINT_POSITION = 1, /* position (and velocity) in world */
    FLIGHT_SETPOINT_VELOCITY = 2, /* velocity in world; the position target moves with it */
    FLIGHT_SETPOINT_ATTITUDE = 3, /* manual or level-out: stock controller */
    FLIGHT_SETPOINT_RATE = 4      /* manual, turn rates instead of angles: stock controller */
};

/* Who says where to go. All but the first are generated on board; the commander must go on sending set-points, as the
 * platform's supervisor demands, but they are not followed. Changes are smooth in position and velocity. */
enum flight_reference {
    FLIGHT_REFERENCE_COMMANDER = 0,    /* the commander's set-points; so is any other number */
    FLIGHT_REFERENCE_FIGURE_EIGHT = 1, /* around the set-point; left at its centre */
    FLIGHT_REFERENCE_HOLD = 2,         /* comes to rest and stays */
    FLIGHT_REFERENCE_TAKE_OFF = 3,     /* straight up by take_off_height, and stays */
    FLIGHT_REFERENCE_LAND = 4,         /* straight down to landing_height, and stays */
    FLIGHT_REFERENCE_WAYPOINTS = 5     /* through the way points, and stays at the last */
};

enum { FLIGHT_WAYPOINTS_MAX = 8 };

enum flight_mode { FLIGHT_STOCK = 0, FLIGHT_POLICY = 1 };

/* Why the policy is not flying, the first that applies. */
enum flight_guard {
    FLIGHT_GUARD_OK = 0,
    FLIGHT_GUARD_DISABLED = 1,       /* parameter `enable` is 0 */
    FLIGHT_GUARD_SELF_TEST = 2,      /* weights or golden vectors are wrong: refused until reboot */
    FLIGHT_GUARD_NOT_FINITE = 3,     /* NaN or infinity in state or set-point, or a parameter out of range */
    FLIGHT_GUARD_QUATERNION = 4,     /* attitude is not a unit quaternion */
    FLIGHT_GUARD_POSITION_ERROR = 5, /* envelope of the contract left */
    FLIGHT_GUARD_VELOCITY = 6,
    FLIGHT_GUARD_ANGULAR_VELOCITY = 7,
    FLIGHT_GUARD_STALE_STATE = 8, /* state_age_ms above the limit */
    FLIGHT_GUARD_STALE_SETPOINT = 9,
    FLIGHT_GUARD_SETPOINT_MODE = 10, /* not a position or velocity set-point */
    FLIGHT_GUARD_ACTION = 11,        /* the network answered something not finite */
    FLIGHT_GUARD_CALL_PERIOD = 12,   /* ticks were skipped or time ran backwards */
    FLIGHT_GUARD_VARIANCE = 13,      /* the estimator does not trust its position */
    FLIGHT_GUARD_BATTERY = 14,       /* the platform calls the battery low, for a while */
    FLIGHT_GUARD_SATURATION = 15,    /* a motor has been at a limit for too long: authority is lost */
    FLIGHT_GUARD_TILT = 16,          /* tilted more than tilt_versine_max allows */
    FLIGHT_GUARD_FENCE = 17          /* outside the fence */
};

/* What to do with the motors while the policy is off. */
enum flight_failsafe {
    FLIGHT_FAILSAFE_FOLLOW = 0, /* the stock controller follows the set-point */
    FLIGHT_FAILSAFE_LAND = 1,   /* brake and go down: the velocity is known, not more, or landing is urgent */
    FLIGHT_FAILSAFE_LEVEL = 2,  /* level, a little less thrust than weight: only the attitude is known */
    FLIGHT_FAILSAFE_STOP = 3    /* motors off: not even that */
};

struct flight_input {
    uint32_t time_ms;
    uint32_t enable;          /* 1: the policy may fly */
    uint32_t reference;       /* enum flight_reference */
    uint32_t setpoint_mode;   /* enum flight_setpoint_mode */
    uint32_t state_age_ms;    /* since the estimator's last update */
    uint32_t setpoint_age_ms; /* since the commander's last set-point */
    float position_world[3];  /* [m] */
    float velocity_world[3];  /* [m/s] */
    float quaternion_xyzw[4]; /* body to world, firmware order */
    float gyro_deg_s[3];      /* [deg/s], body */
    float setpoint_position_world[3];
    float setpoint_velocity_world[3];
    float figure_eight_period; /* [s] */
    float figure_eight_scale;  /* [m], half width */
    float position_variance;   /* [m^2], largest of the three axes, by the estimator's own account */
    uint32_t battery_low;      /* 1: by the platform's own threshold */
    uint32_t time_us;          /* of this call, any clock that runs on and wraps; for period_bias_us */
    uint32_t rotors_idle;      /* 1: rotors stand or idle, so the policy spins them up gradually when it takes over */
    float take_off_height;     /* [m], from where it begins: 0 to 5 */
    float landing_height;      /* [m], world */
    uint32_t waypoint_count;   /* 0 to FLIGHT_WAYPOINTS_MAX */
    float waypoint_move;       /* [s], from point to point: 0.5 to 60 */
    float waypoint_hold;       /* [s], rest at each: 0 to 60 */
    float waypoints[3 * FLIGHT_WAYPOINTS_MAX]; /* [m], world axes, from where the walk begins */
    float fence_low_world[3];                  /* [m]; an axis with low = high has no fence */
    float fence_high_world[3];
    float tilt_versine_max; /* [1], 1 - cos of the largest tilt, 0 to 2; 0: any tilt */
};

struct flight_output {
    uint32_t controls_motors; /* 1: use motor_fraction; 0: stock controller */
    uint32_t mode;            /* enum flight_mode */
    uint32_t guard;           /* enum flight_guard: 0 while the policy flies, else why not */
    uint32_t guard_latched;   /* first reason since the last successful take-over */
    uint32_t failsafe;        /* enum flight_failsafe: for the platform, while controls_motors is 0 */
    uint32_t contract_hash;   /* POLICY_CONTRACT_HASH32 */
    uint32_t self_test_passed;
    uint32_t inferences;               /* since boot */
    uint32_t native_steps;             /* since take-over */
    uint32_t deadline_misses;          /* ticks that came later than 1 ms after the one before */
    float motor_fraction[4];           /* [1], M1..M4, of what the contract's action mapping names */
    float action[4];                   /* [-1, 1] */
    float reference_position_world[3]; /* what the policy is asked to follow now */
    float reference_velocity_world[3];
    uint32_t reference_over; /* 1: take-off, landing, way points or coming to rest have ended */
    uint32_t native_lost;    /* since take-over: native steps that late ticks have cost */
    float period_bias_us;    /* mean error of the time between inferences, over about the last 64 */
    float period_jitter_us;  /* mean deviation from it */
};

_Static_assert(sizeof(struct flight_input) == 4 * 67, "flight_input layout is shared with Python");
_Static_assert(sizeof(struct flight_output) == 4 * 28, "flight_output layout is shared with Python");

struct flight; /* defined in flight_state.h; the caller owns it */

/* Runs the self-test (weights checksum, golden vectors) and clears the state. */
void flight_init(struct flight *flight);

/* Between two ticks: what has gone to the motors, whoever sent it, in the measure of motor_fraction. From it the policy
 * takes over without a step; a platform that cannot tell does not call it. */
void flight_sent(struct flight *flight, const float motor_fraction[4]);

/* One platform tick. */
void flight_tick(struct flight *flight, const struct flight_input *input, struct flight_output *output);

#endif
