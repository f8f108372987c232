/* actuation.h: from actions to rotor speed set-points, with the firmware's (nominal) constants, each way with its
 * reverse. docs/dynamics.md, Actuation.
 */
#ifndef FLEDGE_ACTUATION_H
#define FLEDGE_ACTUATION_H

#include "real.h"

enum quadrotor_actuation_kind { QUADROTOR_ROTOR_SPEED_FRACTION = 0, QUADROTOR_THRUST_FRACTION = 1 };

struct quadrotor_actuation {
    int32_t kind;
    float fraction_low, fraction_high; /* [1], at action -1 and +1 */
    float full_scale;                  /* fraction 1: [rad/s] or [N], by kind */
    float thrust_curve[3];             /* nominal c0, c1, c2 */
};

/* Setpoint [rad/s] and, for the reverse sweep, its slope [rad/s per unit action].
 * Thrust fraction: T = f T_max, n = (-c1 + sqrt(c1^2 + 4 c2 (T - c0))) / (2 c2). */
static inline real quadrotor_setpoint(const struct quadrotor_actuation *map, real action, real *slope) {
    const real_scalar half = (real_scalar)(map->fraction_high - map->fraction_low) / 2;
    const real amount = (real_scalar)map->full_scale * ((real_scalar)map->fraction_low + half * (action + 1));
    const real amount_slope = 0 * action + half * (real_scalar)map->full_scale;
    if (map->kind == QUADROTOR_ROTOR_SPEED_FRACTION) {
        *slope = amount_slope;
        return amount;
    }
    const real_scalar c0 = (real_scalar)map->thrust_curve[0], c1 = (real_scalar)map->thrust_curve[1],
                      c2 = (real_scalar)map->thrust_curve[2];
    const real root = real_sqrt(c1 * c1 + 4 * c2 * (amount - c0));
    *slope = amount_slope / root;
    return (root - c1) / (2 * c2);
}

#endif
