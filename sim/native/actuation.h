/* actuation.h: from actions to rotor speed set-points, with the firmware's (nominal) constants, each way with its
 * reverse. docs/dynamics.md, Actuation.
 */
#ifndef FLEDGE_ACTUATION_H
#define FLEDGE_ACTUATION_H

#include "real.h"

enum quadrotor_actuation_kind { QUADROTOR_ROTOR_SPEED_FRACTION = 0, QUADROTOR_THRUST_FRACTION = 1, QUADROTOR_DUTY = 2 };

/* ---- the mapping alone: what an action asks for ------------------------------------------------- */

struct quadrotor_actuation {
    int32_t kind;
    float fraction_low, fraction_high; /* [1], at action -1 and +1 */
    float full_scale;                  /* fraction 1: [N] for a thrust fraction, else [rad/s] at nominal voltage */
    float thrust_curve[3];             /* nominal c0, c1, c2 */
};

/* Setpoint [rad/s] and, for the reverse sweep, its slope [rad/s per unit action].
 * Thrust fraction: T = f T_max, n = (-c1 + sqrt(c1^2 + 4 c2 (T - c0))) / (2 c2). */
static inline real quadrotor_setpoint(const struct quadrotor_actuation *map, real action, real *slope) {
    const real_scalar half = (real_scalar)(map->fraction_high - map->fraction_low) / 2;
    const real amount = (real_scalar)map->full_scale * ((real_scalar)map->fraction_low + half * (action + 1));
    const real amount_slope = 0 * action + half * (real_scalar)map->full_scale;
    if (map->kind != QUADROTOR_THRUST_FRACTION) {
        *slope = amount_slope;
        return amount;
    }
    const real_scalar c0 = (real_scalar)map->thrust_curve[0], c1 = (real_scalar)map->thrust_curve[1],
                      c2 = (real_scalar)map->thrust_curve[2];
    const real root = real_sqrt(c1 * c1 + 4 * c2 * (amount - c0));
    *slope = amount_slope / root;
    return (root - c1) / (2 * c2);
}

/* ---- the firmware's whole path ------------------------------------------------------------------ */

struct quadrotor_drive {
    struct quadrotor_actuation map;
    float speed_per_volt;  /* [rad/s/V] at full duty */
    float voltage_nominal; /* [V] */
    float dead_zone;       /* a thrust fraction below it switches the motor off; 0 = none */
    float pwm_levels;      /* duty is rounded down to one of them; 0 = not */
    int32_t compensation;  /* duty is computed for the present voltage instead of the nominal one */
};

/* What the reverse sweep needs of the way forward. */
struct quadrotor_drive_trace {
    real slope[4]; /* duty per action, 0 where the action is clipped or the motor off */
    real duty[4];  /* before the reduction */
    real excess;   /* what all four lose */
};

/* action: M1..M4, clipped to [-1, 1]; voltage: under load [V]; setpoint [rad/s]. */
static inline void quadrotor_drive(const struct quadrotor_drive *drive, const real action[4], real voltage,
                                   real setpoint[4], struct quadrotor_drive_trace *trace) {
    const int32_t kind = drive->map.kind;
    const real zero = real_splat(0), one = real_splat(1);
    const real top = (real_scalar)drive->speed_per_volt * voltage;
    const real assumed = drive->compensation
                             ? top
                             : real_splat((real_scalar)drive->speed_per_volt * (real_scalar)drive->voltage_nominal);
    const real_scalar low = (real_scalar)drive->map.fraction_low,
                      half = ((real_scalar)drive->map.fraction_high - low) / 2, levels = (real_scalar)drive->pwm_levels;
    for (int i = 0; i < 4; i++) {
        const real a = real_clip(action[i], -one, one), f = low + half * (a + 1);
        const real_mask free = real_greater(one, action[i]) & real_greater(action[i], -one);
        real slope;
        const real speed = quadrotor_setpoint(&drive->map, a, &slope);
        setpoint[i] = speed, trace->duty[i] = f;
        if (kind == QUADROTOR_DUTY) slope = real_splat(half);
        if (kind == QUADROTOR_THRUST_FRACTION) {
            const real_mask off = real_greater(real_splat((real_scalar)drive->dead_zone), f);
            trace->duty[i] = real_select(off, zero, speed) / assumed;
            slope = real_select(off, zero, slope / assumed);
        }
        trace->slope[i] = real_select(free, slope, zero);
    }
    trace->excess = zero;
    if (kind == QUADROTOR_ROTOR_SPEED_FRACTION) return;
    if (kind == QUADROTOR_THRUST_FRACTION) {
        const real left = real_max(trace->duty[0], trace->duty[1]), right = real_max(trace->duty[2], trace->duty[3]);
        trace->excess = real_max(zero, real_max(left, right) - 1);
    }
    for (int i = 0; i < 4; i++) {
        real duty = real_max(zero, trace->duty[i] - trace->excess);
        if (levels > 0) duty = real_min(real_truncate(duty * levels), real_splat(levels - 1)) / (levels - 1);
        setpoint[i] = duty * top;
    }
}

/* action_bar = (d setpoint / d action)^T setpoint_bar; rounding passes straight through, the voltage is taken as given.
 */
static inline void quadrotor_drive_reverse(const struct quadrotor_drive *drive,
                                           const struct quadrotor_drive_trace *trace, real voltage,
                                           const real setpoint_bar[4], real action_bar[4]) {
    const real zero = real_splat(0);
    const real top = (real_scalar)drive->speed_per_volt * voltage;
    if (drive->map.kind == QUADROTOR_ROTOR_SPEED_FRACTION) {
        for (int i = 0; i < 4; i++) action_bar[i] = trace->slope[i] * setpoint_bar[i];
        return;
    }
    real excess_bar = zero;
    for (int i = 0; i < 4; i++) {
        const real_mask turns = real_greater(trace->duty[i], trace->excess);
        action_bar[i] = real_select(turns, setpoint_bar[i] * top, zero);
        excess_bar -= action_bar[i];
    }
    for (int i = 0; i < 4; i++) {
        const real largest = real_select(real_greater(trace->excess, trace->duty[i] - 1), zero, excess_bar);
        const real share =
            real_select(real_greater(trace->excess, zero), largest, zero); /* all of it, to the largest */
        action_bar[i] = trace->slope[i] * (action_bar[i] + share);
    }
}

#endif
