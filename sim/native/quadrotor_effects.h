/* quadrotor_effects.h: what a quadrotor feels only when it is switched on, each effect with its reverse sweep:
 * drag against the wind, ground effect, the battery's ceiling on rotor speed. docs/dynamics.md, eq. 8 to 10.
 *
 * `rotation` is the matrix of the attitude, world from body; *_reverse adds to the adjoints that it is given.
 */
#ifndef FLEDGE_QUADROTOR_EFFECTS_H
#define FLEDGE_QUADROTOR_EFFECTS_H

#include "quadrotor_rows.h"
#include "quaternion.h"

/* ---- drag: F = -R D R^T (v - wind) -------------------------------------------------------------- */

struct quadrotor_drag {
    real air[3];  /* v - wind [m/s], world */
    real body[3]; /* D R^T (v - wind) [N], body */
};

static inline struct quadrotor_drag quadrotor_drag(const real rotation[9], const real *velocity,
                                                   const real *parameter) {
    struct quadrotor_drag drag;
    for (int i = 0; i < 3; i++) drag.air[i] = velocity[i] - parameter[QUADROTOR_WIND + i];
    matrix_transposed_times(rotation, drag.air, drag.body);
    for (int i = 0; i < 3; i++) drag.body[i] *= parameter[QUADROTOR_DRAG + i];
    return drag;
}

static inline void quadrotor_add_drag(const real rotation[9], const real *velocity, const real *parameter,
                                      real force_world[3]) {
    const struct quadrotor_drag drag = quadrotor_drag(rotation, velocity, parameter);
    real force[3];
    matrix_times(rotation, drag.body, force);
    for (int i = 0; i < 3; i++) force_world[i] -= force[i];
}

/* a: adjoint of force_world. */
static inline void quadrotor_drag_reverse(const real rotation[9], const real *velocity, const real *parameter,
                                          const real a[3], real rotation_bar[9], real *velocity_bar) {
    const struct quadrotor_drag drag = quadrotor_drag(rotation, velocity, parameter);
    real body_bar[3], air_bar[3], a_negative[3];
    for (int i = 0; i < 3; i++) a_negative[i] = -a[i];
    matrix_add_outer(a_negative, drag.body, rotation_bar);
    matrix_transposed_times(rotation, a_negative, body_bar);
    for (int i = 0; i < 3; i++) body_bar[i] *= parameter[QUADROTOR_DRAG + i];
    matrix_add_outer(drag.air, body_bar, rotation_bar);
    matrix_times(rotation, body_bar, air_bar);
    for (int i = 0; i < 3; i++) velocity_bar[i] += air_bar[i];
}

/* ---- ground effect: T <- T / (1 - A / z^2) ------------------------------------------------------ */

#define QUADROTOR_GROUND_EFFECT_HEIGHT_MIN ((real_scalar)1e-3) /* [m] */

struct quadrotor_ground_effect {
    real factor;    /* on the thrust [1] */
    real height;    /* of the rotor above z = 0 [m] */
    real room;      /* 1 / (z^2 - A) [1/m^2] */
    real_mask free; /* z is the rotor's own height, not one of the lower limits */
};

static inline struct quadrotor_ground_effect quadrotor_ground_effect(const real rotation[9], const real *position,
                                                                     const real *parameter, int i) {
    const real area = parameter[QUADROTOR_GROUND_EFFECT_AREA];
    const real least = real_max(4 * area, real_splat(QUADROTOR_GROUND_EFFECT_HEIGHT_MIN) *
                                              real_splat(QUADROTOR_GROUND_EFFECT_HEIGHT_MIN));
    struct quadrotor_ground_effect g;
    g.height = position[2] + rotation[6] * parameter[QUADROTOR_ROTOR_X + i] +
               rotation[7] * parameter[QUADROTOR_ROTOR_Y + i] + rotation[8] * parameter[QUADROTOR_ROTOR_HEIGHT];
    const real square = g.height * g.height;
    g.free = real_greater(square, least) & real_greater(g.height, real_splat(0));
    const real z_square = real_select(g.free, square, least);
    g.room = real_inverse(z_square - area);
    g.factor = 1 + area * g.room;
    return g;
}

/* factor_bar: adjoint of the factor of rotor i. d factor / d z^2 = -A / (z^2 - A)^2 */
static inline void quadrotor_ground_effect_reverse(const struct quadrotor_ground_effect *g, const real *parameter,
                                                   int i, real factor_bar, real rotation_bar[9], real *position_bar) {
    const real slope = -2 * g->height * parameter[QUADROTOR_GROUND_EFFECT_AREA] * g->room * g->room;
    const real height_bar = real_select(g->free, factor_bar * slope, real_splat(0));
    position_bar[2] += height_bar;
    rotation_bar[6] += height_bar * parameter[QUADROTOR_ROTOR_X + i];
    rotation_bar[7] += height_bar * parameter[QUADROTOR_ROTOR_Y + i];
    rotation_bar[8] += height_bar * parameter[QUADROTOR_ROTOR_HEIGHT];
}

/* ---- battery: n_setpoint <- min(n_setpoint, k_V (V_oc - R / V_oc c_P sum T n)) ------------------- */

/* Ceiling = top - sag * sum_i T_i n_i [rad/s], T before the ground effect. */
struct quadrotor_battery {
    real top; /* [rad/s] */
    real sag; /* [rad/s per N rad/s] */
};

static inline struct quadrotor_battery quadrotor_battery(const real *parameter) {
    const real voltage = parameter[QUADROTOR_BATTERY_VOLTAGE];
    return (struct quadrotor_battery){.top = parameter[QUADROTOR_SPEED_PER_VOLT] * voltage,
                                      .sag = parameter[QUADROTOR_SPEED_PER_VOLT] *
                                             parameter[QUADROTOR_BATTERY_RESISTANCE] *
                                             parameter[QUADROTOR_DRIVE_POWER] / voltage};
}

static inline real quadrotor_speed_ceiling(const struct quadrotor_battery *battery, const real thrust[4],
                                           const real *rotor_speed) {
    real power = thrust[0] * rotor_speed[0];
    for (int i = 1; i < 4; i++) power += thrust[i] * rotor_speed[i];
    return battery->top - battery->sag * power;
}

static inline void quadrotor_speed_ceiling_reverse(const struct quadrotor_battery *battery, const real thrust[4],
                                                   const real *rotor_speed, real ceiling_bar, real thrust_bar[4],
                                                   real *rotor_speed_bar) {
    const real power_bar = -battery->sag * ceiling_bar;
    for (int i = 0; i < 4; i++) {
        thrust_bar[i] += power_bar * rotor_speed[i];
        rotor_speed_bar[i] += power_bar * thrust[i];
    }
}

#endif
