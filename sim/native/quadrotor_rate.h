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

/* Thrust, ground effect and battery backwards. effective_bar: adjoint of the thrust that acts on the body;
 * target_bar: of the set-point that reaches the rotor. Adds to the rest. */
static inline void quadrotor_rotors_reverse(const struct quadrotor_model *model, const real *x, const real *setpoint,
                                            unsigned effects, const real rotation[9], const real effective_bar[4],
                                            const real *l, real rotation_bar[9], real *x_bar, real *setpoint_bar) {
    const real *p = model->parameter, *n = x + QUADROTOR_ROTOR_SPEED, *curve = p + QUADROTOR_THRUST_CURVE;
    real *n_bar = x_bar + QUADROTOR_ROTOR_SPEED;
    real thrust[4], thrust_bar[4], ceiling = real_splat(0), ceiling_bar = real_splat(0);
    quadrotor_thrust(n, p, thrust);
    if (effects & QUADROTOR_EFFECT_BATTERY) ceiling = quadrotor_speed_ceiling(&model->battery, thrust, n);
    for (int i = 0; i < 4; i++) {
        thrust_bar[i] = effective_bar[i];
        if (effects & QUADROTOR_EFFECT_GROUND_EFFECT) {
            const struct quadrotor_ground_effect ground = quadrotor_ground_effect(rotation, x, p, i);
            quadrotor_ground_effect_reverse(&ground, p, i, effective_bar[i] * thrust[i], rotation_bar, x_bar);
            thrust_bar[i] *= ground.factor;
        }
        real target = setpoint[i];
        if (effects & QUADROTOR_EFFECT_BATTERY) target = real_min(target, ceiling);
        real lag_bar = l[QUADROTOR_ROTOR_SPEED + i] * quadrotor_lag(target, n[i], p);
        n_bar[i] = -lag_bar;
        if (effects & QUADROTOR_EFFECT_BATTERY) {
            const real_mask limited = real_greater(setpoint[i], ceiling);
            ceiling_bar += real_select(limited, lag_bar, real_splat(0));
            lag_bar = real_select(limited, real_splat(0), lag_bar);
        }
        setpoint_bar[i] += lag_bar;
    }
    if (effects & QUADROTOR_EFFECT_BATTERY)
        quadrotor_speed_ceiling_reverse(&model->battery, thrust, n, ceiling_bar, thrust_bar, n_bar);
    for (int i = 0; i < 4; i++)
        n_bar[i] += thrust_bar[i] * p[QUADROTOR_THRUST_SCALE + i] * (curve[1] + 2 * curve[2] * n[i]);
}

/* x_bar = (df/dx)^T l;  setpoint_bar += (df/dsetpoint)^T l. */
static inline void quadrotor_rate_reverse(const struct quadrotor_model *model, const real *x, const real *setpoint,
                                          unsigned effects, const real *l, real *x_bar, real *setpoint_bar) {
    const real *p = model->parameter, *q = x + QUADROTOR_QUATERNION, *v = x + QUADROTOR_VELOCITY;
    const real *w = x + QUADROTOR_ANGULAR_VELOCITY, *a = l + QUADROTOR_VELOCITY;
    real *q_bar = x_bar + QUADROTOR_QUATERNION, *w_bar = x_bar + QUADROTOR_ANGULAR_VELOCITY;
    real rotation[9], rotation_bar[9], thrust[4], effective_bar[4], axis[3], axis_bar[3], m[3], g[3], force_bar[3];
    for (int i = 0; i < 3; i++) {
        m[i] = l[QUADROTOR_ANGULAR_VELOCITY + i] * p[QUADROTOR_INERTIA_INVERSE + i];
        g[i] = l[QUADROTOR_ANGULAR_VELOCITY + i] * model->gyroscopic[i];
        x_bar[QUADROTOR_POSITION + i] = real_splat(0);
        x_bar[QUADROTOR_VELOCITY + i] = l[QUADROTOR_POSITION + i];
    }
    for (int i = 0; i < 3; i++) w_bar[i] = g[(i + 1) % 3] * w[(i + 2) % 3] + g[(i + 2) % 3] * w[(i + 1) % 3];
    for (int i = 0; i < 4; i++) q_bar[i] = real_splat(0);
    quaternion_rate_reverse(q, w, l + QUADROTOR_QUATERNION, q_bar, w_bar);

    quaternion_matrix(q, rotation);
    for (int i = 0; i < 9; i++) rotation_bar[i] = real_splat(0);
    if (effects & (QUADROTOR_EFFECT_DRAG | QUADROTOR_EFFECT_FLOOR)) {
        for (int i = 0; i < 3; i++) force_bar[i] = a[i] * p[QUADROTOR_MASS_INVERSE];
        if (effects & QUADROTOR_EFFECT_DRAG)
            quadrotor_drag_reverse(rotation, v, p, force_bar, rotation_bar, x_bar + QUADROTOR_VELOCITY);
        if (effects & QUADROTOR_EFFECT_FLOOR)
            quadrotor_floor_reverse(x, rotation, p, force_bar, m, rotation_bar, x_bar);
    }

    quaternion_half_axis_z(q, axis);
    const real lift_bar = model->lift * dot(axis, a);
    for (int i = 0; i < 4; i++)
        effective_bar[i] = lift_bar + m[0] * p[QUADROTOR_ROTOR_Y + i] - m[1] * p[QUADROTOR_ROTOR_X + i] +
                           m[2] * p[QUADROTOR_TORQUE_PER_THRUST + i];
    quadrotor_rotors_reverse(model, x, setpoint, effects, rotation, effective_bar, l, rotation_bar, x_bar,
                             setpoint_bar);

    quadrotor_thrust(x + QUADROTOR_ROTOR_SPEED, p, thrust);
    if (effects & QUADROTOR_EFFECT_GROUND_EFFECT)
        for (int i = 0; i < 4; i++) thrust[i] *= quadrotor_ground_effect(rotation, x, p, i).factor;
    const real lift = model->lift * ((thrust[0] + thrust[1]) + (thrust[2] + thrust[3]));
    for (int i = 0; i < 3; i++) axis_bar[i] = lift * a[i];
    quaternion_half_axis_z_reverse(q, axis_bar, q_bar);
    if (effects & (QUADROTOR_EFFECT_DRAG | QUADROTOR_EFFECT_FLOOR | QUADROTOR_EFFECT_GROUND_EFFECT))
        quaternion_matrix_reverse(q, rotation_bar, q_bar);
}

#endif
