/* quadrotor_rate.h: x_dot = f(x, n_setpoint) of a quadrotor and its reverse sweep. docs/dynamics.md, eq. 1 to 11. */
#ifndef FLEDGE_QUADROTOR_RATE_H
#define FLEDGE_QUADROTOR_RATE_H

#include "quadrotor_effects.h"
#include "quadrotor_floor.h"

/* What a step derives from its parameters once. */
struct quadrotor_model {
    const real *parameter;
    real acceleration[3]; /* disturbance and gravity [m/s^2], world */
    real gyroscopic[3];   /* (J_j - J_k) / J_i [1], i j k cyclic */
    real lift;            /* 2 / m: force over mass is lift * total thrust * quaternion_half_axis_z [1/kg] */
    struct quadrotor_battery battery;
};

static inline struct quadrotor_model quadrotor_model(const real *parameter, unsigned effects) {
    const real *inertia = parameter + QUADROTOR_INERTIA, mass_inverse = parameter[QUADROTOR_MASS_INVERSE];
    struct quadrotor_model model = {.parameter = parameter, .lift = 2 * mass_inverse};
    for (int i = 0; i < 3; i++) {
        model.acceleration[i] = parameter[QUADROTOR_DISTURBANCE_FORCE + i] * mass_inverse;
        model.gyroscopic[i] = (inertia[(i + 1) % 3] - inertia[(i + 2) % 3]) * parameter[QUADROTOR_INERTIA_INVERSE + i];
    }
    model.acceleration[2] -= parameter[QUADROTOR_GRAVITY];
    if (effects & QUADROTOR_EFFECT_BATTERY) model.battery = quadrotor_battery(parameter);
    return model;
}

/* T_i = scale_i (c0 + c1 n_i + c2 n_i^2) [N] */
static inline void quadrotor_thrust(const real *rotor_speed, const real *parameter, real thrust[4]) {
    const real *c = parameter + QUADROTOR_THRUST_CURVE, *scale = parameter + QUADROTOR_THRUST_SCALE;
    for (int i = 0; i < 4; i++) thrust[i] = scale[i] * (c[0] + rotor_speed[i] * (c[1] + c[2] * rotor_speed[i]));
}

/* 1 / time constant of rise or fall [1/s] */
static inline real quadrotor_lag(real setpoint, real rotor_speed, const real *parameter) {
    return real_choose(setpoint, rotor_speed, parameter[QUADROTOR_LAG_RISE_INVERSE],
                       parameter[QUADROTOR_LAG_FALL_INVERSE]);
}

/* ---- the parts of x_dot: rotors, what they do to the body, rotation, translation ---------------- */

/* thrust: of eq. 5 */
static inline void quadrotor_rotor_rate(const struct quadrotor_model *model, const real *rotor_speed,
                                        const real thrust[4], const real *setpoint, unsigned effects, real n_dot[4]) {
    real ceiling = real_splat(0);
    if (effects & QUADROTOR_EFFECT_BATTERY) ceiling = quadrotor_speed_ceiling(&model->battery, thrust, rotor_speed);
    for (int i = 0; i < 4; i++) {
        real target = setpoint[i];
        if (effects & QUADROTOR_EFFECT_BATTERY) target = real_min(target, ceiling);
        n_dot[i] = quadrotor_lag(target, rotor_speed[i], model->parameter) * (target - rotor_speed[i]);
    }
}

/* Acceleration along the body's z axis, per half axis, and torque [N m, body]. Sums in pairs: a processor that waits
 * four cycles for each result gets through them twice as fast. */
static inline real quadrotor_lift(const struct quadrotor_model *model, const real thrust[4], real torque[3]) {
    const real *p = model->parameter, *x = p + QUADROTOR_ROTOR_X, *y = p + QUADROTOR_ROTOR_Y;
    const real *z = p + QUADROTOR_TORQUE_PER_THRUST, *constant = p + QUADROTOR_DISTURBANCE_TORQUE;
    torque[0] = (constant[0] + y[0] * thrust[0] + y[1] * thrust[1]) + (y[2] * thrust[2] + y[3] * thrust[3]);
    torque[1] = (constant[1] - x[0] * thrust[0] - x[1] * thrust[1]) - (x[2] * thrust[2] + x[3] * thrust[3]);
    torque[2] = (constant[2] + z[0] * thrust[0] + z[1] * thrust[1]) + (z[2] * thrust[2] + z[3] * thrust[3]);
    return model->lift * ((thrust[0] + thrust[1]) + (thrust[2] + thrust[3]));
}

static inline void quadrotor_spin_rate(const struct quadrotor_model *model, const real torque[3], const real *w,
                                       real w_dot[3]) {
    for (int i = 0; i < 3; i++)
        w_dot[i] = model->parameter[QUADROTOR_INERTIA_INVERSE + i] * torque[i] +
                   model->gyroscopic[i] * (w[(i + 1) % 3] * w[(i + 2) % 3]);
}

static inline void quadrotor_acceleration(const struct quadrotor_model *model, real lift, const real *q,
                                          real v_dot[3]) {
    real axis[3];
    quaternion_half_axis_z(q, axis);
    for (int i = 0; i < 3; i++) v_dot[i] = model->acceleration[i] + lift * axis[i];
}

/* v_dot += force / m */
static inline void quadrotor_accelerate(const struct quadrotor_model *model, const real force_world[3], real v_dot[3]) {
    for (int i = 0; i < 3; i++) v_dot[i] += model->parameter[QUADROTOR_MASS_INVERSE] * force_world[i];
}

static inline void quadrotor_rate(const struct quadrotor_model *model, const real *x, const real *setpoint,
                                  unsigned effects, real *x_dot) {
    const real *p = model->parameter, *q = x + QUADROTOR_QUATERNION, *v = x + QUADROTOR_VELOCITY;
    const real *n = x + QUADROTOR_ROTOR_SPEED, zero = real_splat(0);
    real rotation[9], thrust[4], force[3] = {zero, zero, zero}, torque[3];
    quadrotor_thrust(n, p, thrust);
    quadrotor_rotor_rate(model, n, thrust, setpoint, effects, x_dot + QUADROTOR_ROTOR_SPEED);
    quaternion_matrix(q, rotation); /* where nothing needs it, the compiler leaves it out */
    if (effects & QUADROTOR_EFFECT_GROUND_EFFECT)
        for (int i = 0; i < 4; i++) thrust[i] *= quadrotor_ground_effect(rotation, x, p, i).factor;
    const real lift = quadrotor_lift(model, thrust, torque);
    quadrotor_acceleration(model, lift, q, x_dot + QUADROTOR_VELOCITY);
    if (effects & QUADROTOR_EFFECT_DRAG) quadrotor_add_drag(rotation, v, p, force);
    if (effects & QUADROTOR_EFFECT_FLOOR) quadrotor_add_floor(x, rotation, p, force, torque);
    if (effects & (QUADROTOR_EFFECT_DRAG | QUADROTOR_EFFECT_FLOOR))
        quadrotor_accelerate(model, force, x_dot + QUADROTOR_VELOCITY);
    for (int i = 0; i < 3; i++) x_dot[QUADROTOR_POSITION + i] = v[i];
    quadrotor_spin_rate(model, torque, x + QUADROTOR_ANGULAR_VELOCITY, x_dot + QUADROTOR_ANGULAR_VELOCITY);
    quaternion_rate(q, x + QUADROTOR_ANGULAR_VELOCITY, x_dot + QUADROTOR_QUATERNION);
}

/* ---- backwards ---------------------------------------------------------------------------------- */

/* thrust_bar: adjoint of the thrust of eq. 5, before the battery's share is added to it; n_dot_bar: of n_dot. Writes
 * n_bar, adds to setpoint_bar. */
static inline void quadrotor_rotors_reverse(const struct quadrotor_model *model, const real *n, const real *setpoint,
                                            unsigned effects, real thrust_bar[4], const real *n_dot_bar, real *n_bar,
                                            real *setpoint_bar) {
    const real *p = model->parameter, *curve = p + QUADROTOR_THRUST_CURVE, zero = real_splat(0);
    real thrust[4], ceiling = zero, ceiling_bar = zero;
    quadrotor_thrust(n, p, thrust);
    if (effects & QUADROTOR_EFFECT_BATTERY) ceiling = quadrotor_speed_ceiling(&model->battery, thrust, n);
    for (int i = 0; i < 4; i++) {
        real target = setpoint[i];
        if (effects & QUADROTOR_EFFECT_BATTERY) target = real_min(target, ceiling);
        real lag_bar = n_dot_bar[i] * quadrotor_lag(target, n[i], p);
        n_bar[i] = -lag_bar;
        if (effects & QUADROTOR_EFFECT_BATTERY) {
            ceiling_bar += real_choose(setpoint[i], ceiling, lag_bar, zero);
            lag_bar = real_choose(setpoint[i], ceiling, zero, lag_bar);
        }
        setpoint_bar[i] += lag_bar;
    }
    if (effects & QUADROTOR_EFFECT_BATTERY)
        quadrotor_speed_ceiling_reverse(&model->battery, thrust, n, ceiling_bar, thrust_bar, n_bar);
    for (int i = 0; i < 4; i++)
        n_bar[i] += thrust_bar[i] * p[QUADROTOR_THRUST_SCALE + i] * (curve[1] + 2 * curve[2] * n[i]);
}

/* Adjoint of each thrust from those of the acceleration along the half axis and of the torque. */
static inline void quadrotor_lift_reverse(const struct quadrotor_model *model, real lift_bar, const real torque_bar[3],
                                          real thrust_bar[4]) {
    const real *p = model->parameter, total_bar = model->lift * lift_bar;
    for (int i = 0; i < 4; i++)
        thrust_bar[i] = (total_bar + torque_bar[0] * p[QUADROTOR_ROTOR_Y + i]) +
                        (torque_bar[2] * p[QUADROTOR_TORQUE_PER_THRUST + i] - torque_bar[1] * p[QUADROTOR_ROTOR_X + i]);
}

/* Writes w_bar and torque_bar. */
static inline void quadrotor_spin_reverse(const struct quadrotor_model *model, const real *w, const real *w_dot_bar,
                                          real w_bar[3], real torque_bar[3]) {
    real g[3];
    for (int i = 0; i < 3; i++) {
        torque_bar[i] = w_dot_bar[i] * model->parameter[QUADROTOR_INERTIA_INVERSE + i];
        g[i] = w_dot_bar[i] * model->gyroscopic[i];
    }
    for (int i = 0; i < 3; i++) w_bar[i] = g[(i + 1) % 3] * w[(i + 2) % 3] + g[(i + 2) % 3] * w[(i + 1) % 3];
}

/* Returns the adjoint of the lift; adds to q_bar. */
static inline real quadrotor_acceleration_reverse(real lift, const real *q, const real *v_dot_bar, real *q_bar) {
    real axis[3], axis_bar[3];
    quaternion_half_axis_z(q, axis);
    for (int i = 0; i < 3; i++) axis_bar[i] = lift * v_dot_bar[i];
    quaternion_half_axis_z_reverse(q, axis_bar, q_bar);
    return dot(axis, v_dot_bar);
}

/* x_bar = (df/dx)^T l;  setpoint_bar += (df/dsetpoint)^T l. */
static inline void quadrotor_rate_reverse(const struct quadrotor_model *model, const real *x, const real *setpoint,
                                          unsigned effects, const real *l, real *x_bar, real *setpoint_bar) {
    const real *p = model->parameter, *q = x + QUADROTOR_QUATERNION, *n = x + QUADROTOR_ROTOR_SPEED;
    const real *w = x + QUADROTOR_ANGULAR_VELOCITY, *a = l + QUADROTOR_VELOCITY;
    real *q_bar = x_bar + QUADROTOR_QUATERNION, *w_bar = x_bar + QUADROTOR_ANGULAR_VELOCITY;
    real rotation[9], rotation_bar[9], thrust[4], thrust_bar[4], torque[3], torque_bar[3], force_bar[3];
    struct quadrotor_ground_effect ground[4];
    quaternion_matrix(q, rotation);
    for (int i = 0; i < 9; i++) rotation_bar[i] = real_splat(0);
    for (int i = 0; i < 4; i++) q_bar[i] = real_splat(0);
    for (int i = 0; i < 3; i++) {
        x_bar[QUADROTOR_POSITION + i] = real_splat(0);
        x_bar[QUADROTOR_VELOCITY + i] = l[QUADROTOR_POSITION + i];
    }
    quadrotor_spin_reverse(model, w, l + QUADROTOR_ANGULAR_VELOCITY, w_bar, torque_bar);
    quaternion_rate_reverse(q, w, l + QUADROTOR_QUATERNION, q_bar, w_bar);
    if (effects & (QUADROTOR_EFFECT_DRAG | QUADROTOR_EFFECT_FLOOR)) {
        for (int i = 0; i < 3; i++) force_bar[i] = a[i] * p[QUADROTOR_MASS_INVERSE];
        if (effects & QUADROTOR_EFFECT_DRAG)
            quadrotor_drag_reverse(rotation, x + QUADROTOR_VELOCITY, p, force_bar, rotation_bar,
                                   x_bar + QUADROTOR_VELOCITY);
        if (effects & QUADROTOR_EFFECT_FLOOR)
            quadrotor_floor_reverse(x, rotation, p, force_bar, torque_bar, rotation_bar, x_bar);
    }

    quadrotor_thrust(n, p, thrust);
    if (effects & QUADROTOR_EFFECT_GROUND_EFFECT)
        for (int i = 0; i < 4; i++) {
            ground[i] = quadrotor_ground_effect(rotation, x, p, i);
            thrust[i] *= ground[i].factor;
        }
    const real lift = quadrotor_lift(model, thrust, torque);
    const real lift_bar = quadrotor_acceleration_reverse(lift, q, a, q_bar);
    quadrotor_lift_reverse(model, lift_bar, torque_bar, thrust_bar);
    if (effects & QUADROTOR_EFFECT_GROUND_EFFECT) {
        quadrotor_thrust(n, p, thrust);
        for (int i = 0; i < 4; i++) {
            quadrotor_ground_effect_reverse(&ground[i], p, i, thrust_bar[i] * thrust[i], rotation_bar, x_bar);
            thrust_bar[i] *= ground[i].factor;
        }
    }
    quadrotor_rotors_reverse(model, n, setpoint, effects, thrust_bar, l + QUADROTOR_ROTOR_SPEED,
                             x_bar + QUADROTOR_ROTOR_SPEED, setpoint_bar);
    if (effects & (QUADROTOR_EFFECT_DRAG | QUADROTOR_EFFECT_FLOOR | QUADROTOR_EFFECT_GROUND_EFFECT))
        quaternion_matrix_reverse(q, rotation_bar, q_bar);
}

#endif
