/* quadrotor_free.h: Runge-Kutta of order 4 away from the ground, and backwards.
 *
 * There each part of the state depends only on the parts before it: rotors, rotation, attitude, velocity, position.
 * Taken through all four stages part by part they need few registers and keep the processor busier than stage by stage.
 * Neither floor nor ground effect; drag and battery as switched.
 */
#ifndef FLEDGE_QUADROTOR_FREE_H
#define FLEDGE_QUADROTOR_FREE_H

#include "quadrotor_rate.h"

/* What stage s adds to the weighted sum of four slopes. */
static inline void quadrotor_accumulate(int s, const real *slope, int rows, real *sum) {
    for (int i = 0; i < rows; i++) sum[i] = s == 0 ? slope[i] : s == 3 ? sum[i] + slope[i] : sum[i] + 2 * slope[i];
}

/* Rows of the state at stage s; slope is of the stage before. */
static inline void quadrotor_stage(const real *x, int s, real_scalar h, const real *slope, int rows, real *stage) {
    const real_scalar reach = s == 3 ? h : h / 2;
    for (int i = 0; i < rows; i++) stage[i] = s == 0 ? x[i] : x[i] + reach * slope[i];
}

static inline void quadrotor_finish(const real *x, real_scalar h, const real *sum, int rows, real *x_next) {
    for (int i = 0; i < rows; i++) x_next[i] = x[i] + h / 6 * sum[i];
}

#define QUADROTOR_EACH_STAGE _Pragma("GCC unroll 4") for (int s = 0; s < 4; s++)

/* Stages of each part, for the way back. */
struct quadrotor_free_stages {
    real n[4][4], w[4][3], q[4][4], v[4][3];
    real lift[4];
};

/* Rotors and rotation; writes their rows of x_next. */
static inline void quadrotor_free_rotation(const struct quadrotor_model *model, const real *x, const real *setpoint,
                                           unsigned effects, real_scalar h, struct quadrotor_free_stages *stage,
                                           real *x_next) {
    const real *n = x + QUADROTOR_ROTOR_SPEED, *w = x + QUADROTOR_ANGULAR_VELOCITY;
    real n_dot[4], n_sum[4], w_dot[3], w_sum[3], thrust[4], torque[4][3];
    QUADROTOR_EACH_STAGE {
        quadrotor_stage(n, s, h, n_dot, 4, stage->n[s]);
        quadrotor_thrust(stage->n[s], model->parameter, thrust);
        quadrotor_rotor_rate(model, stage->n[s], thrust, setpoint, effects, n_dot);
        quadrotor_accumulate(s, n_dot, 4, n_sum);
        stage->lift[s] = quadrotor_lift(model, thrust, torque[s]);
    }
    QUADROTOR_EACH_STAGE {
        quadrotor_stage(w, s, h, w_dot, 3, stage->w[s]);
        quadrotor_spin_rate(model, torque[s], stage->w[s], w_dot);
        quadrotor_accumulate(s, w_dot, 3, w_sum);
    }
    quadrotor_finish(n, h, n_sum, 4, x_next + QUADROTOR_ROTOR_SPEED);
    quadrotor_finish(w, h, w_sum, 3, x_next + QUADROTOR_ANGULAR_VELOCITY);
}

/* x_next may be x. Returns 1/|q| before normalising. */
static inline real quadrotor_free_runge_kutta(const struct quadrotor_model *model, const real *x, const real *setpoint,
                                              unsigned effects, real_scalar h, struct quadrotor_free_stages *stage,
                                              real *x_next) {
    const real *q = x + QUADROTOR_QUATERNION, *v = x + QUADROTOR_VELOCITY;
    real q_dot[4], q_sum[4], v_dot[3], v_sum[3], p_sum[3], rotation[9];
    quadrotor_free_rotation(model, x, setpoint, effects, h, stage, x_next);
    QUADROTOR_EACH_STAGE {
        quadrotor_stage(q, s, h, q_dot, 4, stage->q[s]);
        quadrotor_stage(v, s, h, v_dot, 3, stage->v[s]);
        quaternion_rate(stage->q[s], stage->w[s], q_dot);
        quadrotor_acceleration(model, stage->lift[s], stage->q[s], v_dot);
        if (effects & QUADROTOR_EFFECT_DRAG) {
            real force[3] = {real_splat(0), real_splat(0), real_splat(0)};
            quaternion_matrix(stage->q[s], rotation);
            quadrotor_add_drag(rotation, stage->v[s], model->parameter, force);
            quadrotor_accelerate(model, force, v_dot);
        }
        quadrotor_accumulate(s, q_dot, 4, q_sum);
        quadrotor_accumulate(s, v_dot, 3, v_sum);
        quadrotor_accumulate(s, stage->v[s], 3, p_sum);
    }
    quadrotor_finish(q, h, q_sum, 4, x_next + QUADROTOR_QUATERNION);
    quadrotor_finish(x + QUADROTOR_POSITION, h, p_sum, 3, x_next + QUADROTOR_POSITION);
    quadrotor_finish(v, h, v_sum, 3, x_next + QUADROTOR_VELOCITY);
    return quaternion_normalise(x_next + QUADROTOR_QUATERNION);
}

/* ---- backwards: position and velocity, attitude, rotation, rotors ------------------------------- */

#define QUADROTOR_EACH_STAGE_BACK _Pragma("GCC unroll 4") for (int s = 3; s >= 0; s--)

static inline real_scalar quadrotor_weight(int s, real_scalar h) { return s == 0 || s == 3 ? h / 6 : h / 3; }

/* Adjoint of the slope of stage s: h/6, h/3, h/3, h/6 times l, and what the next stage passes back. */
static inline void quadrotor_slope_bar(int s, real_scalar h, const real *l, const real *next_bar, int rows,
                                       real *slope_bar) {
    const real_scalar weight = quadrotor_weight(s, h), reach = s == 2 ? h : h / 2;
    for (int i = 0; i < rows; i++) slope_bar[i] = s == 3 ? weight * l[i] : weight * l[i] + reach * next_bar[i];
}

static inline void quadrotor_add(const real *add, int rows, real *sum) {
    for (int i = 0; i < rows; i++) sum[i] += add[i];
}

/* Translation and attitude: the rows of p, q and v of `l` become those before the step; w_bar and lift_bar are written
 * for each stage. `l` of q is that before normalising. */
static inline void quadrotor_free_attitude_reverse(const struct quadrotor_model *model,
                                                   const struct quadrotor_free_stages *stage, unsigned effects,
                                                   real_scalar h, real *l, real w_bar[4][3], real lift_bar[4]) {
    real v_bar[3], v_dot_bar[3], v_sum[3], q_bar[4], q_dot_bar[4], q_sum[4], force_bar[3];
    for (int i = 0; i < 3; i++) v_sum[i] = l[QUADROTOR_VELOCITY + i];
    for (int i = 0; i < 4; i++) q_sum[i] = l[QUADROTOR_QUATERNION + i];
    QUADROTOR_EACH_STAGE_BACK {
        const real *q = stage->q[s];
        quadrotor_slope_bar(s, h, l + QUADROTOR_VELOCITY, v_bar, 3, v_dot_bar);
        quadrotor_slope_bar(s, h, l + QUADROTOR_QUATERNION, q_bar, 4, q_dot_bar);
        for (int i = 0; i < 3; i++) v_bar[i] = quadrotor_weight(s, h) * l[QUADROTOR_POSITION + i];
        for (int i = 0; i < 4; i++) q_bar[i] = real_splat(0);
        for (int i = 0; i < 3; i++) w_bar[s][i] = real_splat(0);
        quaternion_rate_reverse(q, stage->w[s], q_dot_bar, q_bar, w_bar[s]);
        lift_bar[s] = quadrotor_acceleration_reverse(stage->lift[s], q, v_dot_bar, q_bar);
        if (effects & QUADROTOR_EFFECT_DRAG) {
            real rotation[9], rotation_bar[9];
            quaternion_matrix(q, rotation);
            for (int i = 0; i < 9; i++) rotation_bar[i] = real_splat(0);
            for (int i = 0; i < 3; i++) force_bar[i] = v_dot_bar[i] * model->parameter[QUADROTOR_MASS_INVERSE];
            quadrotor_drag_reverse(rotation, stage->v[s], model->parameter, force_bar, rotation_bar, v_bar);
            quaternion_matrix_reverse(q, rotation_bar, q_bar);
        }
        quadrotor_add(v_bar, 3, v_sum);
        quadrotor_add(q_bar, 4, q_sum);
    }
    for (int i = 0; i < 3; i++) l[QUADROTOR_VELOCITY + i] = v_sum[i];
    for (int i = 0; i < 4; i++) l[QUADROTOR_QUATERNION + i] = q_sum[i];
}

/* Rotation and rotors likewise; w_bar of each stage is what the attitude asked of it. */
static inline void quadrotor_free_rotation_reverse(const struct quadrotor_model *model, const real *setpoint,
                                                   const struct quadrotor_free_stages *stage, unsigned effects,
                                                   real_scalar h, real w_bar[4][3], const real lift_bar[4], real *l,
                                                   real *setpoint_bar) {
    real torque_bar[4][3], bar[3], w_dot_bar[3], w_sum[3], n_bar[4], n_dot_bar[4], n_sum[4], thrust_bar[4];
    for (int i = 0; i < 3; i++) w_sum[i] = l[QUADROTOR_ANGULAR_VELOCITY + i];
    for (int i = 0; i < 4; i++) n_sum[i] = l[QUADROTOR_ROTOR_SPEED + i];
    QUADROTOR_EACH_STAGE_BACK {
        quadrotor_slope_bar(s, h, l + QUADROTOR_ANGULAR_VELOCITY, bar, 3, w_dot_bar);
        quadrotor_spin_reverse(model, stage->w[s], w_dot_bar, bar, torque_bar[s]);
        quadrotor_add(w_bar[s], 3, bar);
        quadrotor_add(bar, 3, w_sum);
    }
    QUADROTOR_EACH_STAGE_BACK {
        quadrotor_slope_bar(s, h, l + QUADROTOR_ROTOR_SPEED, n_bar, 4, n_dot_bar);
        quadrotor_lift_reverse(model, lift_bar[s], torque_bar[s], thrust_bar);
        quadrotor_rotors_reverse(model, stage->n[s], setpoint, effects, thrust_bar, n_dot_bar, n_bar, setpoint_bar);
        quadrotor_add(n_bar, 4, n_sum);
    }
    for (int i = 0; i < 3; i++) l[QUADROTOR_ANGULAR_VELOCITY + i] = w_sum[i];
    for (int i = 0; i < 4; i++) l[QUADROTOR_ROTOR_SPEED + i] = n_sum[i];
}

/* stage, scale, next: what the way forward left, from x to next. l: adjoint of next on entry, of x on return;
 * setpoint_bar is added to. */
static inline void quadrotor_free_reverse(const struct quadrotor_model *model,
                                          const struct quadrotor_free_stages *stage, real scale, const real *next,
                                          const real *setpoint, unsigned effects, real_scalar h, real *l,
                                          real *setpoint_bar) {
    real w_bar[4][3], lift_bar[4];
    quaternion_normalise_reverse(next + QUADROTOR_QUATERNION, scale, l + QUADROTOR_QUATERNION);
    quadrotor_free_attitude_reverse(model, stage, effects, h, l, w_bar, lift_bar);
    quadrotor_free_rotation_reverse(model, setpoint, stage, effects, h, w_bar, lift_bar, l, setpoint_bar);
}

/* The same where nothing was left: the stages are computed again from x. */
static inline void quadrotor_free_runge_kutta_reverse(const struct quadrotor_model *model, const real *x,
                                                      const real *setpoint, unsigned effects, real_scalar h, real *l,
                                                      real *setpoint_bar) {
    struct quadrotor_free_stages stage;
    real next[QUADROTOR_STATES];
    const real scale = quadrotor_free_runge_kutta(model, x, setpoint, effects, h, &stage, next);
    quadrotor_free_reverse(model, &stage, scale, next, setpoint, effects, h, l, setpoint_bar);
}

#endif
