/* quadrotor.h: the physics of a quadrotor and its reverse sweep, for any scalar type (real.h).
 *
 * One text for the host (a vector of environments), for the microcontroller (float) and for tests (double).
 * State, setpoint and parameters are flat arrays of `real`; the enums below name the rows, and fledge_sim/kernel.py
 * uses the same numbers. SI units. World: z up. Body: x forward, y left, z up. Quaternion w, x, y, z, body to world.
 * Equations and their derivation: docs/dynamics.md.
 */
#ifndef FLEDGE_QUADROTOR_H
#define FLEDGE_QUADROTOR_H

#include "quaternion.h"

enum quadrotor_state_row {
    QUADROTOR_POSITION = 0,          /* 3, [m], world */
    QUADROTOR_QUATERNION = 3,        /* 4, [1], w x y z, body to world */
    QUADROTOR_VELOCITY = 7,          /* 3, [m/s], world */
    QUADROTOR_ANGULAR_VELOCITY = 10, /* 3, [rad/s], body */
    QUADROTOR_ROTOR_SPEED = 13,      /* 4, [rad/s], M1..M4 */
    QUADROTOR_STATES = 17
};
enum { QUADROTOR_ROTORS = 4 };

enum quadrotor_parameter_row {
    QUADROTOR_MASS_INVERSE = 0,        /* 1, [1/kg] */
    QUADROTOR_INERTIA = 1,             /* 3, [kg m^2], principal, body */
    QUADROTOR_INERTIA_INVERSE = 4,     /* 3, [1/(kg m^2)] */
    QUADROTOR_ROTOR_X = 7,             /* 4, [m], body, from the centre of mass */
    QUADROTOR_ROTOR_Y = 11,            /* 4, [m], body */
    QUADROTOR_THRUST_CURVE = 15,       /* 3, c0 [N], c1 [N/(rad/s)], c2 [N/(rad/s)^2] */
    QUADROTOR_THRUST_SCALE = 18,       /* 4, [1], per rotor, 1 = nominal */
    QUADROTOR_TORQUE_PER_THRUST = 22,  /* 4, [m], signed: reaction about +z per newton */
    QUADROTOR_LAG_RISE_INVERSE = 26,   /* 1, [1/s] */
    QUADROTOR_LAG_FALL_INVERSE = 27,   /* 1, [1/s] */
    QUADROTOR_DRAG = 28,               /* 3, [N/(m/s)], body axes */
    QUADROTOR_DISTURBANCE_FORCE = 31,  /* 3, [N], world */
    QUADROTOR_DISTURBANCE_TORQUE = 34, /* 3, [N m], body */
    QUADROTOR_GRAVITY = 37,            /* 1, [m/s^2], positive */
    QUADROTOR_LEG_HEIGHT = 38,         /* 1, [m], feet below the centre of mass, under the rotors */
    QUADROTOR_FLOOR_STIFFNESS = 39,    /* 1, [N/m], per contact point */
    QUADROTOR_FLOOR_DAMPING = 40,      /* 1, [N/(m/s)], per contact point */
    QUADROTOR_FLOOR_FRICTION = 41,     /* 1, [1], Coulomb */
    QUADROTOR_GROUND_EFFECT_AREA = 42, /* 1, [m^2], r^2 / 16 for rotor radius r; 0 = none */
    QUADROTOR_WIND = 43,               /* 3, [m/s], world */
    QUADROTOR_BATTERY_VOLTAGE = 46,    /* 1, [V], open circuit */
    QUADROTOR_BATTERY_RESISTANCE = 47, /* 1, [ohm] */
    QUADROTOR_DRIVE_POWER = 48,        /* 1, [m], electrical power of a rotor per thrust and speed */
    QUADROTOR_SPEED_PER_VOLT = 49,     /* 1, [rad/s/V], at full duty */
    QUADROTOR_ROTOR_HEIGHT = 50,       /* 1, [m], rotor plane and upper contact points above the centre of mass */
    QUADROTOR_PARAMETERS = 51
};

/* Effects that a caller switches; the rigid body, rotors and disturbances are always on. */
enum quadrotor_effect {
    QUADROTOR_EFFECT_DRAG = 1,
    QUADROTOR_EFFECT_FLOOR = 2,
    QUADROTOR_EFFECT_GROUND_EFFECT = 4,
    QUADROTOR_EFFECT_BATTERY = 8,
    QUADROTOR_EFFECT_SEMI_IMPLICIT = 16
};
enum { QUADROTOR_SUBSTEPS_MAX = 64 }; /* the reverse sweep keeps the state before each */

/* ---- forces ------------------------------------------------------------------------------------- */

/* T_i = scale_i (c0 + c1 n_i + c2 n_i^2) [N] */
static inline void quadrotor_thrust(const real *rotor_speed, const real *parameter, real thrust[4]) {
    const real *c = parameter + QUADROTOR_THRUST_CURVE, *scale = parameter + QUADROTOR_THRUST_SCALE;
    for (int i = 0; i < 4; i++) thrust[i] = scale[i] * (c[0] + rotor_speed[i] * (c[1] + c[2] * rotor_speed[i]));
}

/* F_drag = -R D R^T v, added to force_world. */
static inline void quadrotor_add_drag(const real *q, const real *velocity_world, const real *parameter,
                                      real force_world[3]) {
    real v_body[3], drag[3];
    quaternion_rotate(q, velocity_world, -1, v_body);
    for (int i = 0; i < 3; i++) v_body[i] *= parameter[QUADROTOR_DRAG + i];
    quaternion_rotate(q, v_body, 1, drag);
    for (int i = 0; i < 3; i++) force_world[i] -= drag[i];
}

/* a = adjoint of force_world. */
static inline void quadrotor_add_drag_reverse(const real *q, const real *velocity_world, const real *parameter,
                                              const real a[3], real *q_bar, real *velocity_bar) {
    real v_body[3], scaled[3], a_negative[3], body_bar[3], velocity_add[3];
    quaternion_rotate(q, velocity_world, -1, v_body);
    for (int i = 0; i < 3; i++) {
        scaled[i] = v_body[i] * parameter[QUADROTOR_DRAG + i];
        a_negative[i] = -a[i];
    }
    quaternion_rotate_reverse(q, scaled, 1, a_negative, q_bar);
    quaternion_rotate(q, a_negative, -1, body_bar);
    for (int i = 0; i < 3; i++) body_bar[i] *= parameter[QUADROTOR_DRAG + i];
    quaternion_rotate_reverse(q, velocity_world, -1, body_bar, q_bar);
    quaternion_rotate(q, body_bar, 1, velocity_add);
    for (int i = 0; i < 3; i++) velocity_bar[i] += velocity_add[i];
}

#define QUADROTOR_FRICTION_SPEED ((real_scalar)0.03) /* [m/s], below it Coulomb friction turns viscous */

/* One of four feet under the rotors on the plane z = 0: spring and damper, never pulling; regularised Coulomb friction.
 *   N = max(0, k d - b v_z) for depth d > 0,  F = (-g v_x, -g v_y, N),  g = mu N / sqrt(v_x^2 + v_y^2 + s^2) */
struct quadrotor_foot {
    real body[3];     /* [m], from the centre of mass */
    real spin[3];     /* w x body [m/s], body */
    real velocity[3]; /* [m/s], world */
    real speed;       /* sqrt(v_x^2 + v_y^2 + s^2) [m/s] */
    real_mask pushes; /* N > 0 */
    real drag;        /* g [N/(m/s)] */
    real force[3];    /* F [N], world */
};

static inline struct quadrotor_foot quadrotor_foot(const real *state, const real *parameter, int i) {
    const real *q = state + QUADROTOR_QUATERNION, zero = real_splat(0);
    struct quadrotor_foot foot = {
        .body = {parameter[QUADROTOR_ROTOR_X + i], parameter[QUADROTOR_ROTOR_Y + i], -parameter[QUADROTOR_LEG_HEIGHT]}};
    real offset[3], *v = foot.velocity;
    quaternion_rotate(q, foot.body, 1, offset);
    cross(state + QUADROTOR_ANGULAR_VELOCITY, foot.body, foot.spin);
    quaternion_rotate(q, foot.spin, 1, v);
    for (int j = 0; j < 3; j++) v[j] += state[QUADROTOR_VELOCITY + j];
    const real depth = -(state[QUADROTOR_POSITION + 2] + offset[2]);
    const real push = parameter[QUADROTOR_FLOOR_STIFFNESS] * depth - parameter[QUADROTOR_FLOOR_DAMPING] * v[2];
    foot.pushes = real_greater(depth, zero) & real_greater(push, zero);
    foot.force[2] = real_select(foot.pushes, push, zero);
    foot.speed = real_sqrt(v[0] * v[0] + v[1] * v[1] + QUADROTOR_FRICTION_SPEED * QUADROTOR_FRICTION_SPEED);
    foot.drag = parameter[QUADROTOR_FLOOR_FRICTION] * foot.force[2] / foot.speed;
    foot.force[0] = -foot.drag * v[0], foot.force[1] = -foot.drag * v[1];
    return foot;
}

/* Adds to force_world [N] and torque_body [N m]. */
static inline void quadrotor_add_floor(const real *state, const real *parameter, real force_world[3],
                                       real torque_body[3]) {
    for (int i = 0; i < 4; i++) {
        const struct quadrotor_foot foot = quadrotor_foot(state, parameter, i);
        real force_body[3], torque[3];
        quaternion_rotate(state + QUADROTOR_QUATERNION, foot.force, -1, force_body);
        cross(foot.body, force_body, torque);
        for (int j = 0; j < 3; j++) force_world[j] += foot.force[j], torque_body[j] += torque[j];
    }
}

/* a, m: adjoints of force_world and torque_body; adds to x_bar. With F the force in world and r the foot:
 * tau = r x R^T F gives F_bar = a + R (m x r); then backwards through g, N, the depth and the foot's velocity. */
static inline void quadrotor_add_floor_reverse(const real *state, const real *parameter, const real a[3],
                                               const real m[3], real *x_bar) {
    const real *q = state + QUADROTOR_QUATERNION, zero = real_splat(0);
    real *q_bar = x_bar + QUADROTOR_QUATERNION;
    for (int i = 0; i < 4; i++) {
        const struct quadrotor_foot foot = quadrotor_foot(state, parameter, i);
        real body_bar[3], force_bar[3], velocity_bar[3], spin_bar[3], w_bar[3];
        cross(m, foot.body, body_bar);
        quaternion_rotate_reverse(q, foot.force, -1, body_bar, q_bar);
        quaternion_rotate(q, body_bar, 1, force_bar);
        for (int j = 0; j < 3; j++) force_bar[j] += a[j];

        const real drag_bar = -(force_bar[0] * foot.velocity[0] + force_bar[1] * foot.velocity[1]);
        const real normal_bar = force_bar[2] + drag_bar * parameter[QUADROTOR_FLOOR_FRICTION] / foot.speed;
        const real push_bar = real_select(foot.pushes, normal_bar, zero);
        const real along = -drag_bar * foot.drag / (foot.speed * foot.speed);
        velocity_bar[0] = along * foot.velocity[0] - foot.drag * force_bar[0];
        velocity_bar[1] = along * foot.velocity[1] - foot.drag * force_bar[1];
        velocity_bar[2] = -parameter[QUADROTOR_FLOOR_DAMPING] * push_bar;
        const real offset_bar[3] = {zero, zero, -parameter[QUADROTOR_FLOOR_STIFFNESS] * push_bar};

        quaternion_rotate_reverse(q, foot.body, 1, offset_bar, q_bar);
        quaternion_rotate_reverse(q, foot.spin, 1, velocity_bar, q_bar);
        quaternion_rotate(q, velocity_bar, -1, spin_bar);
        cross(foot.body, spin_bar, w_bar);
        x_bar[QUADROTOR_POSITION + 2] += offset_bar[2];
        for (int j = 0; j < 3; j++) {
            x_bar[QUADROTOR_VELOCITY + j] += velocity_bar[j];
            x_bar[QUADROTOR_ANGULAR_VELOCITY + j] += w_bar[j];
        }
    }
}

/* ---- continuous dynamics ------------------------------------------------------------------------ */

/* x_dot = f(x, n_setpoint): docs/dynamics.md, eq. 1 to 6. */
static inline void quadrotor_derivative(const real *x, const real *setpoint, const real *parameter, unsigned effects,
                                        real *x_dot) {
    const real *q = x + QUADROTOR_QUATERNION, *v = x + QUADROTOR_VELOCITY, *w = x + QUADROTOR_ANGULAR_VELOCITY;
    const real *n = x + QUADROTOR_ROTOR_SPEED, *inertia = parameter + QUADROTOR_INERTIA;
    real thrust[4], axis[3], force[3], torque[3];
    quadrotor_thrust(n, parameter, thrust);
    const real total = thrust[0] + thrust[1] + thrust[2] + thrust[3];
    quaternion_axis_z(q, axis);
    for (int i = 0; i < 3; i++) {
        force[i] = total * axis[i] + parameter[QUADROTOR_DISTURBANCE_FORCE + i];
        torque[i] = parameter[QUADROTOR_DISTURBANCE_TORQUE + i];
    }
    for (int i = 0; i < 4; i++) {
        torque[0] += parameter[QUADROTOR_ROTOR_Y + i] * thrust[i];
        torque[1] -= parameter[QUADROTOR_ROTOR_X + i] * thrust[i];
        torque[2] += parameter[QUADROTOR_TORQUE_PER_THRUST + i] * thrust[i];
    }
    if (effects & QUADROTOR_EFFECT_DRAG) quadrotor_add_drag(q, v, parameter, force);
    if (effects & QUADROTOR_EFFECT_FLOOR) quadrotor_add_floor(x, parameter, force, torque);

    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3, k = (i + 2) % 3;
        x_dot[QUADROTOR_POSITION + i] = v[i];
        x_dot[QUADROTOR_VELOCITY + i] = force[i] * parameter[QUADROTOR_MASS_INVERSE];
        x_dot[QUADROTOR_ANGULAR_VELOCITY + i] =
            parameter[QUADROTOR_INERTIA_INVERSE + i] * (torque[i] + (inertia[j] - inertia[k]) * w[j] * w[k]);
    }
    x_dot[QUADROTOR_VELOCITY + 2] -= parameter[QUADROTOR_GRAVITY];
    quaternion_rate(q, w, x_dot + QUADROTOR_QUATERNION);
    for (int i = 0; i < 4; i++) {
        const real rate = real_select(real_greater(setpoint[i], n[i]), parameter[QUADROTOR_LAG_RISE_INVERSE],
                                      parameter[QUADROTOR_LAG_FALL_INVERSE]);
        x_dot[QUADROTOR_ROTOR_SPEED + i] = rate * (setpoint[i] - n[i]);
    }
}

/* x_bar = (df/dx)^T l;  setpoint_bar += (df/dsetpoint)^T l. */
static inline void quadrotor_derivative_reverse(const real *x, const real *setpoint, const real *parameter,
                                                unsigned effects, const real *l, real *x_bar, real *setpoint_bar) {
    const real *q = x + QUADROTOR_QUATERNION, *w = x + QUADROTOR_ANGULAR_VELOCITY, *n = x + QUADROTOR_ROTOR_SPEED;
    const real *inertia = parameter + QUADROTOR_INERTIA, *curve = parameter + QUADROTOR_THRUST_CURVE;
    real *q_bar = x_bar + QUADROTOR_QUATERNION, *w_bar = x_bar + QUADROTOR_ANGULAR_VELOCITY;
    real thrust[4], axis[3], a[3], m[3], axis_bar[3];
    quadrotor_thrust(n, parameter, thrust);
    const real total = thrust[0] + thrust[1] + thrust[2] + thrust[3];
    for (int i = 0; i < 3; i++) {
        a[i] = l[QUADROTOR_VELOCITY + i] * parameter[QUADROTOR_MASS_INVERSE];
        m[i] = l[QUADROTOR_ANGULAR_VELOCITY + i] * parameter[QUADROTOR_INERTIA_INVERSE + i];
        x_bar[QUADROTOR_POSITION + i] = real_splat(0);
        x_bar[QUADROTOR_VELOCITY + i] = l[QUADROTOR_POSITION + i];
    }
    for (int i = 0; i < 4; i++) q_bar[i] = real_splat(0);
    for (int i = 0; i < 3; i++) axis_bar[i] = total * a[i];
    quaternion_axis_z_reverse(q, axis_bar, q_bar);
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3, k = (i + 2) % 3;
        w_bar[i] = m[j] * (inertia[k] - inertia[i]) * w[k] + m[k] * (inertia[i] - inertia[j]) * w[j];
    }
    quaternion_rate_reverse(q, w, l + QUADROTOR_QUATERNION, q_bar, w_bar);
    if (effects & QUADROTOR_EFFECT_DRAG)
        quadrotor_add_drag_reverse(q, x + QUADROTOR_VELOCITY, parameter, a, q_bar, x_bar + QUADROTOR_VELOCITY);
    if (effects & QUADROTOR_EFFECT_FLOOR) quadrotor_add_floor_reverse(x, parameter, a, m, x_bar);

    quaternion_axis_z(q, axis);
    const real total_bar = dot(axis, a);
    for (int i = 0; i < 4; i++) {
        const real thrust_bar = total_bar + m[0] * parameter[QUADROTOR_ROTOR_Y + i] -
                                m[1] * parameter[QUADROTOR_ROTOR_X + i] +
                                m[2] * parameter[QUADROTOR_TORQUE_PER_THRUST + i];
        const real rate = real_select(real_greater(setpoint[i], n[i]), parameter[QUADROTOR_LAG_RISE_INVERSE],
                                      parameter[QUADROTOR_LAG_FALL_INVERSE]);
        const real lag_bar = l[QUADROTOR_ROTOR_SPEED + i] * rate;
        x_bar[QUADROTOR_ROTOR_SPEED + i] =
            thrust_bar * parameter[QUADROTOR_THRUST_SCALE + i] * (curve[1] + 2 * curve[2] * n[i]) - lag_bar;
        setpoint_bar[i] += lag_bar;
    }
}

/* ---- one step: classical Runge-Kutta of order 4, setpoint held ---------------------------------- */

/* out = x + h dx */
static inline void quadrotor_axpy(const real *x, real_scalar h, const real *dx, real *out) {
    for (int i = 0; i < QUADROTOR_STATES; i++) out[i] = x[i] + h * dx[i];
}

/* x and x_next may be the same array. Returns 1/|q| of the quaternion before it is normalised. */
static inline real quadrotor_step(const real *x, const real *setpoint, const real *parameter, unsigned effects,
                                  real_scalar dt, real *x_next) {
    real k[QUADROTOR_STATES], sum[QUADROTOR_STATES], stage[QUADROTOR_STATES];
    quadrotor_derivative(x, setpoint, parameter, effects, sum);
    quadrotor_axpy(x, dt / 2, sum, stage);
    quadrotor_derivative(stage, setpoint, parameter, effects, k);
    quadrotor_axpy(sum, 2, k, sum);
    quadrotor_axpy(x, dt / 2, k, stage);
    quadrotor_derivative(stage, setpoint, parameter, effects, k);
    quadrotor_axpy(sum, 2, k, sum);
    quadrotor_axpy(x, dt, k, stage);
    quadrotor_derivative(stage, setpoint, parameter, effects, k);
    for (int i = 0; i < QUADROTOR_STATES; i++) x_next[i] = x[i] + dt / 6 * (sum[i] + k[i]);
    return quaternion_normalise(x_next + QUADROTOR_QUATERNION);
}

/* l: adjoint of x_next on entry, of x on return; setpoint_bar is added to. Stages are recomputed, nothing is stored.
 *   k4' = h/6 l;  k3' = h/3 l + h J4^T k4';  k2' = h/3 l + h/2 J3^T k3';  k1' = h/6 l + h/2 J2^T k2' */
static inline void quadrotor_step_reverse(const real *x, const real *setpoint, const real *parameter, unsigned effects,
                                          real_scalar dt, real *l, real *setpoint_bar) {
    real stage[4][QUADROTOR_STATES], k[QUADROTOR_STATES], sum[QUADROTOR_STATES], bar[QUADROTOR_STATES];
    const real_scalar h[4] = {0, dt / 2, dt / 2, dt}, weight[4] = {dt / 6, dt / 3, dt / 3, dt / 6};
    for (int i = 0; i < QUADROTOR_STATES; i++) stage[0][i] = x[i], sum[i] = x[i];
    for (int s = 0; s < 4; s++) {
        quadrotor_derivative(stage[s], setpoint, parameter, effects, k);
        quadrotor_axpy(sum, weight[s], k, sum);
        if (s < 3) quadrotor_axpy(x, h[s + 1], k, stage[s + 1]);
    }
    const real scale = quaternion_normalise(sum + QUADROTOR_QUATERNION);
    quaternion_normalise_reverse(sum + QUADROTOR_QUATERNION, scale, l + QUADROTOR_QUATERNION);
    for (int i = 0; i < QUADROTOR_STATES; i++) sum[i] = l[i], bar[i] = real_splat(0);
    for (int s = 3; s >= 0; s--) {
        const real_scalar carry = s < 3 ? h[s + 1] : 0;
        for (int i = 0; i < QUADROTOR_STATES; i++) k[i] = weight[s] * l[i] + carry * bar[i];
        quadrotor_derivative_reverse(stage[s], setpoint, parameter, effects, k, bar, setpoint_bar);
        for (int i = 0; i < QUADROTOR_STATES; i++) sum[i] += bar[i];
    }
    for (int i = 0; i < QUADROTOR_STATES; i++) l[i] = sum[i];
}

/* ---- actuation: action in [-1, 1] -> rotor speed setpoint, with the firmware's (nominal) constants  */

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
