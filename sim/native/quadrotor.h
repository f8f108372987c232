/* quadrotor.h: the physics of a quadrotor and its reverse sweep, for any scalar type (real.h).
 *
 * One text for the host (a vector of environments), for the microcontroller (float) and for tests (double).
 * State, setpoint and parameters are flat arrays of `real`; the enums below name the rows, and fledge_sim/kernel.py
 * uses the same numbers. SI units. World: z up. Body: x forward, y left, z up. Quaternion w, x, y, z, body to world.
 * Equations and their derivation: docs/dynamics.md.
 */
#ifndef FLEDGE_QUADROTOR_H
#define FLEDGE_QUADROTOR_H

#include "real.h"

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
    QUADROTOR_FLOOR_STIFFNESS = 39,    /* 1, [N/m], per foot */
    QUADROTOR_FLOOR_DAMPING = 40,      /* 1, [N/(m/s)], per foot */
    QUADROTOR_FLOOR_FRICTION = 41,     /* 1, [1], Coulomb */
    QUADROTOR_PARAMETERS = 42
};

/* Effects that a caller switches; the rigid body, rotors and disturbances are always on. */
enum quadrotor_effect { QUADROTOR_EFFECT_DRAG = 1, QUADROTOR_EFFECT_FLOOR = 2 };

/* ---- rotations: the only place in C that indexes a quaternion ----------------------------------- */

static inline void cross(const real a[3], const real b[3], real out[3]) {
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

static inline real dot(const real a[3], const real b[3]) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

/* R(q) v = v + 2w (u x v) + 2u x (u x v), q = (w, u); sense = +1 rotates body to world, -1 world to body. */
static inline void quaternion_rotate(const real q[4], const real v[3], real_scalar sense, real out[3]) {
    real uv[3], uuv[3];
    cross(q + 1, v, uv);
    cross(q + 1, uv, uuv);
    for (int i = 0; i < 3; i++) out[i] = v[i] + 2 * (sense * q[0] * uv[i] + uuv[i]);
}

/* Adds d(a . R(q)^sense v)/dq to q_bar. With u: u x (u x v) = u (u.v) - v (u.u), so
 * d/dw = 2 a.(u x v) sense;  d/du = 2 sense w (v x a) + 2 [a (u.v) + v (a.u) - 2 u (a.v)]. */
static inline void quaternion_rotate_reverse(const real q[4], const real v[3], real_scalar sense, const real a[3],
                                             real q_bar[4]) {
    const real *u = q + 1;
    real uv[3], va[3];
    cross(u, v, uv);
    cross(v, a, va);
    const real u_v = dot(u, v), a_u = dot(a, u), a_v = dot(a, v);
    q_bar[0] += 2 * sense * dot(a, uv);
    for (int i = 0; i < 3; i++)
        q_bar[1 + i] += 2 * sense * q[0] * va[i] + 2 * (a[i] * u_v + v[i] * a_u - 2 * u[i] * a_v);
}

/* Rotation matrix, row-major, world from body (1 - 2(y^2 + z^2), ...). */
static inline void quaternion_matrix(const real q[4], real r[9]) {
    const real w = q[0], x = q[1], y = q[2], z = q[3];
    r[0] = 1 - 2 * (y * y + z * z), r[1] = 2 * (x * y - w * z), r[2] = 2 * (x * z + w * y);
    r[3] = 2 * (x * y + w * z), r[4] = 1 - 2 * (x * x + z * z), r[5] = 2 * (y * z - w * x);
    r[6] = 2 * (x * z - w * y), r[7] = 2 * (y * z + w * x), r[8] = 1 - 2 * (x * x + y * y);
}

/* Adds d(m : R(q))/dq to q_bar, m row-major. */
static inline void quaternion_matrix_reverse(const real q[4], const real m[9], real q_bar[4]) {
    const real w = q[0], x = q[1], y = q[2], z = q[3];
    q_bar[0] += 2 * (x * (m[7] - m[5]) + y * (m[2] - m[6]) + z * (m[3] - m[1]));
    q_bar[1] += 2 * (w * (m[7] - m[5]) + y * (m[1] + m[3]) + z * (m[2] + m[6]) - 2 * x * (m[4] + m[8]));
    q_bar[2] += 2 * (w * (m[2] - m[6]) + x * (m[1] + m[3]) + z * (m[5] + m[7]) - 2 * y * (m[0] + m[8]));
    q_bar[3] += 2 * (w * (m[3] - m[1]) + x * (m[2] + m[6]) + y * (m[5] + m[7]) - 2 * z * (m[0] + m[4]));
}

/* q_dot = 1/2 q (x) (0, w) */
static inline void quaternion_rate(const real q[4], const real w[3], real q_dot[4]) {
    const real_scalar half = (real_scalar)0.5;
    q_dot[0] = -half * (q[1] * w[0] + q[2] * w[1] + q[3] * w[2]);
    q_dot[1] = half * (q[0] * w[0] + q[2] * w[2] - q[3] * w[1]);
    q_dot[2] = half * (q[0] * w[1] - q[1] * w[2] + q[3] * w[0]);
    q_dot[3] = half * (q[0] * w[2] + q[1] * w[1] - q[2] * w[0]);
}

static inline void quaternion_rate_reverse(const real q[4], const real w[3], const real l[4], real q_bar[4],
                                           real w_bar[3]) {
    const real_scalar half = (real_scalar)0.5;
    q_bar[0] += half * (l[1] * w[0] + l[2] * w[1] + l[3] * w[2]);
    q_bar[1] += half * (l[3] * w[1] - l[0] * w[0] - l[2] * w[2]);
    q_bar[2] += half * (l[1] * w[2] - l[0] * w[1] - l[3] * w[0]);
    q_bar[3] += half * (l[2] * w[0] - l[0] * w[2] - l[1] * w[1]);
    w_bar[0] += half * (l[1] * q[0] + l[2] * q[3] - l[0] * q[1] - l[3] * q[2]);
    w_bar[1] += half * (l[2] * q[0] + l[3] * q[1] - l[0] * q[2] - l[1] * q[3]);
    w_bar[2] += half * (l[1] * q[2] + l[3] * q[0] - l[0] * q[3] - l[2] * q[1]);
}

/* Scales to unit length in place; returns 1/|q| for the reverse sweep. */
static inline real quaternion_normalise(real q[4]) {
    const real scale = 1 / real_sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
    for (int i = 0; i < 4; i++) q[i] *= scale;
    return scale;
}

/* q = unit quaternion after normalising, scale = 1/|q| before: l <- (l - q (q.l)) scale. */
static inline void quaternion_normalise_reverse(const real q[4], real scale, real l[4]) {
    const real along = q[0] * l[0] + q[1] * l[1] + q[2] * l[2] + q[3] * l[3];
    for (int i = 0; i < 4; i++) l[i] = (l[i] - q[i] * along) * scale;
}

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
#define QUADROTOR_FRICTION_SPEED ((real_scalar)0.01) /* [m/s], below it Coulomb friction turns viscous */

/* Four feet under the rotors on the plane z = 0: spring and damper, never pulling; regularised Coulomb friction.
 *   N = max(0, k d - b v_z) for depth d > 0,  F_t = -mu N v_t / sqrt(|v_t|^2 + s^2)
 * Adds to force_world [N] and torque_body [N m]. */
static inline void quadrotor_add_floor(const real *state, const real *parameter, real force_world[3],
                                       real torque_body[3]) {
    const real *q = state + QUADROTOR_QUATERNION, *w = state + QUADROTOR_ANGULAR_VELOCITY;
    const real zero = parameter[0] * 0;
    for (int i = 0; i < 4; i++) {
        const real foot[3] = {parameter[QUADROTOR_ROTOR_X + i], parameter[QUADROTOR_ROTOR_Y + i],
                              -parameter[QUADROTOR_LEG_HEIGHT]};
        real offset[3], spin[3], velocity[3], force[3], force_body[3], torque[3];
        quaternion_rotate(q, foot, 1, offset);
        cross(w, foot, spin);
        quaternion_rotate(q, spin, 1, velocity);
        for (int j = 0; j < 3; j++) velocity[j] += state[QUADROTOR_VELOCITY + j];
        const real depth = -(state[QUADROTOR_POSITION + 2] + offset[2]);
        const real spring =
            parameter[QUADROTOR_FLOOR_STIFFNESS] * depth - parameter[QUADROTOR_FLOOR_DAMPING] * velocity[2];
        const real normal = real_select(real_greater(depth, zero), real_max(spring, zero), zero);
        const real speed = real_sqrt(velocity[0] * velocity[0] + velocity[1] * velocity[1] +
                                     QUADROTOR_FRICTION_SPEED * QUADROTOR_FRICTION_SPEED);
        const real drag = parameter[QUADROTOR_FLOOR_FRICTION] * normal / speed;
        force[0] = -drag * velocity[0], force[1] = -drag * velocity[1], force[2] = normal;
        quaternion_rotate(q, force, -1, force_body);
        cross(foot, force_body, torque);
        for (int j = 0; j < 3; j++) force_world[j] += force[j], torque_body[j] += torque[j];
    }
}

/* ---- continuous dynamics ------------------------------------------------------------------------ */

/* x_dot = f(x, n_setpoint): docs/dynamics.md, eq. 1 to 6. */
static inline void quadrotor_derivative(const real *x, const real *setpoint, const real *parameter, unsigned effects,
                                        real *x_dot) {
    const real *q = x + QUADROTOR_QUATERNION, *v = x + QUADROTOR_VELOCITY, *w = x + QUADROTOR_ANGULAR_VELOCITY;
    const real *n = x + QUADROTOR_ROTOR_SPEED, *inertia = parameter + QUADROTOR_INERTIA;
    real thrust[4], force[3], torque[3];
    quadrotor_thrust(n, parameter, thrust);
    const real total = thrust[0] + thrust[1] + thrust[2] + thrust[3];
    force[0] = total * 2 * (q[1] * q[3] + q[0] * q[2]) + parameter[QUADROTOR_DISTURBANCE_FORCE];
    force[1] = total * 2 * (q[2] * q[3] - q[0] * q[1]) + parameter[QUADROTOR_DISTURBANCE_FORCE + 1];
    force[2] = total * (1 - 2 * (q[1] * q[1] + q[2] * q[2])) + parameter[QUADROTOR_DISTURBANCE_FORCE + 2];
    for (int i = 0; i < 3; i++) torque[i] = parameter[QUADROTOR_DISTURBANCE_TORQUE + i];
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

/* x_bar = (df/dx)^T l;  setpoint_bar += (df/dsetpoint)^T l. The floor has no reverse sweep. */
static inline void quadrotor_derivative_reverse(const real *x, const real *setpoint, const real *parameter,
                                                unsigned effects, const real *l, real *x_bar, real *setpoint_bar) {
    const real *q = x + QUADROTOR_QUATERNION, *w = x + QUADROTOR_ANGULAR_VELOCITY, *n = x + QUADROTOR_ROTOR_SPEED;
    const real *inertia = parameter + QUADROTOR_INERTIA, *curve = parameter + QUADROTOR_THRUST_CURVE;
    real *q_bar = x_bar + QUADROTOR_QUATERNION, *w_bar = x_bar + QUADROTOR_ANGULAR_VELOCITY;
    real thrust[4], a[3], m[3];
    quadrotor_thrust(n, parameter, thrust);
    const real total = thrust[0] + thrust[1] + thrust[2] + thrust[3];
    for (int i = 0; i < 3; i++) {
        a[i] = l[QUADROTOR_VELOCITY + i] * parameter[QUADROTOR_MASS_INVERSE];
        m[i] = l[QUADROTOR_ANGULAR_VELOCITY + i] * parameter[QUADROTOR_INERTIA_INVERSE + i];
        x_bar[QUADROTOR_POSITION + i] = 0 * a[i];
        x_bar[QUADROTOR_VELOCITY + i] = l[QUADROTOR_POSITION + i];
    }
    q_bar[0] = 2 * total * (a[0] * q[2] - a[1] * q[1]);
    q_bar[1] = 2 * total * (a[0] * q[3] - a[1] * q[0] - 2 * a[2] * q[1]);
    q_bar[2] = 2 * total * (a[0] * q[0] + a[1] * q[3] - 2 * a[2] * q[2]);
    q_bar[3] = 2 * total * (a[0] * q[1] + a[1] * q[2]);
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3, k = (i + 2) % 3;
        w_bar[i] = m[j] * (inertia[k] - inertia[i]) * w[k] + m[k] * (inertia[i] - inertia[j]) * w[j];
    }
    quaternion_rate_reverse(q, w, l + QUADROTOR_QUATERNION, q_bar, w_bar);
    if (effects & QUADROTOR_EFFECT_DRAG)
        quadrotor_add_drag_reverse(q, x + QUADROTOR_VELOCITY, parameter, a, q_bar, x_bar + QUADROTOR_VELOCITY);

    const real total_bar = 2 * (a[0] * (q[1] * q[3] + q[0] * q[2]) + a[1] * (q[2] * q[3] - q[0] * q[1])) +
                           a[2] * (1 - 2 * (q[1] * q[1] + q[2] * q[2]));
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
    for (int i = 0; i < QUADROTOR_STATES; i++) sum[i] = l[i], bar[i] = 0 * l[i];
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
