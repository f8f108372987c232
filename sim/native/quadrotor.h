/* quadrotor.h: a quadrotor through time and back, for any scalar type (real.h).
 *
 * One text for the host (a vector of environments), for the microcontroller (float) and for tests (double).
 * State, setpoint and parameters are flat arrays of `real`, rows as in quadrotor_rows.h. Equations and their
 * derivation: docs/dynamics.md. The reverse sweeps recompute what they need; nothing is kept between calls.
 */
#ifndef FLEDGE_QUADROTOR_H
#define FLEDGE_QUADROTOR_H

#include "actuation.h"
#include "quadrotor_free.h"
#include "quadrotor_rate.h"

/* out = x + scale y */
static inline void quadrotor_axpy(const real *x, real_scalar scale, const real *y, real *out) {
    for (int i = 0; i < QUADROTOR_STATES; i++) out[i] = x[i] + scale * y[i];
}

static inline void quadrotor_zero(real *x) {
    for (int i = 0; i < QUADROTOR_STATES; i++) x[i] = real_splat(0);
}

/* ---- classical Runge-Kutta of order 4 ----------------------------------------------------------- */

/* x_next may be x. Returns 1/|q| before normalising. */
static inline real quadrotor_runge_kutta(const struct quadrotor_model *model, const real *x, const real *setpoint,
                                         unsigned effects, real_scalar h, real *x_next) {
    real k[QUADROTOR_STATES], sum[QUADROTOR_STATES], stage[QUADROTOR_STATES];
    quadrotor_rate(model, x, setpoint, effects, sum);
    quadrotor_axpy(x, h / 2, sum, stage);
    quadrotor_rate(model, stage, setpoint, effects, k);
    quadrotor_axpy(sum, 2, k, sum);
    quadrotor_axpy(x, h / 2, k, stage);
    quadrotor_rate(model, stage, setpoint, effects, k);
    quadrotor_axpy(sum, 2, k, sum);
    quadrotor_axpy(x, h, k, stage);
    quadrotor_rate(model, stage, setpoint, effects, k);
    for (int i = 0; i < QUADROTOR_STATES; i++) x_next[i] = x[i] + h / 6 * (sum[i] + k[i]);
    return quaternion_normalise(x_next + QUADROTOR_QUATERNION);
}

/* l: adjoint of x_next on entry, of x on return; setpoint_bar is added to. Stages are recomputed.
 *   k4' = h/6 l;  k3' = h/3 l + h J4^T k4';  k2' = h/3 l + h/2 J3^T k3';  k1' = h/6 l + h/2 J2^T k2' */
static inline void quadrotor_runge_kutta_reverse(const struct quadrotor_model *model, const real *x,
                                                 const real *setpoint, unsigned effects, real_scalar h, real *l,
                                                 real *setpoint_bar) {
    real stage[4][QUADROTOR_STATES], k[QUADROTOR_STATES], sum[QUADROTOR_STATES], bar[QUADROTOR_STATES];
    const real_scalar reach[4] = {0, h / 2, h / 2, h}, weight[4] = {h / 6, h / 3, h / 3, h / 6};
    for (int i = 0; i < QUADROTOR_STATES; i++) stage[0][i] = x[i], sum[i] = x[i];
    for (int s = 0; s < 4; s++) {
        quadrotor_rate(model, stage[s], setpoint, effects, k);
        quadrotor_axpy(sum, weight[s], k, sum);
        if (s < 3) quadrotor_axpy(x, reach[s + 1], k, stage[s + 1]);
    }
    const real scale = quaternion_normalise(sum + QUADROTOR_QUATERNION);
    quaternion_normalise_reverse(sum + QUADROTOR_QUATERNION, scale, l + QUADROTOR_QUATERNION);
    quadrotor_zero(bar);
    for (int i = 0; i < QUADROTOR_STATES; i++) sum[i] = l[i];
    for (int s = 3; s >= 0; s--) {
        const real_scalar carry = s < 3 ? reach[s + 1] : 0;
        for (int i = 0; i < QUADROTOR_STATES; i++) k[i] = weight[s] * l[i] + carry * bar[i];
        quadrotor_rate_reverse(model, stage[s], setpoint, effects, k, bar, setpoint_bar);
        for (int i = 0; i < QUADROTOR_STATES; i++) sum[i] += bar[i];
    }
    for (int i = 0; i < QUADROTOR_STATES; i++) l[i] = sum[i];
}

/* ---- semi-implicit Euler: velocities and rotors first, then the pose with the new velocities ---- */

/* moved: x + h f(x), whose pose is then replaced. Returns 1/|q| before normalising. */
static inline real quadrotor_semi_implicit(const struct quadrotor_model *model, const real *x, const real *setpoint,
                                           unsigned effects, real_scalar h, real *x_next) {
    real k[QUADROTOR_STATES], q_dot[4];
    quadrotor_rate(model, x, setpoint, effects, k);
    for (int i = QUADROTOR_VELOCITY; i < QUADROTOR_STATES; i++) x_next[i] = x[i] + h * k[i];
    for (int i = 0; i < 3; i++) x_next[QUADROTOR_POSITION + i] = x[i] + h * x_next[QUADROTOR_VELOCITY + i];
    quaternion_rate(x + QUADROTOR_QUATERNION, x_next + QUADROTOR_ANGULAR_VELOCITY, q_dot);
    for (int i = 0; i < 4; i++) x_next[QUADROTOR_QUATERNION + i] = x[QUADROTOR_QUATERNION + i] + h * q_dot[i];
    return quaternion_normalise(x_next + QUADROTOR_QUATERNION);
}

/* l and setpoint_bar as above. */
static inline void quadrotor_semi_implicit_reverse(const struct quadrotor_model *model, const real *x,
                                                   const real *setpoint, unsigned effects, real_scalar h, real *l,
                                                   real *setpoint_bar) {
    real next[QUADROTOR_STATES], bar[QUADROTOR_STATES], turn_bar[4], *q_bar = l + QUADROTOR_QUATERNION;
    const real scale = quadrotor_semi_implicit(model, x, setpoint, effects, h, next);
    quaternion_normalise_reverse(next + QUADROTOR_QUATERNION, scale, q_bar);
    for (int i = 0; i < 4; i++) turn_bar[i] = h * q_bar[i];
    quaternion_rate_reverse(x + QUADROTOR_QUATERNION, next + QUADROTOR_ANGULAR_VELOCITY, turn_bar, q_bar,
                            l + QUADROTOR_ANGULAR_VELOCITY);
    for (int i = 0; i < 3; i++) l[QUADROTOR_VELOCITY + i] += h * l[QUADROTOR_POSITION + i];
    for (int i = 0; i < QUADROTOR_STATES; i++) next[i] = i < QUADROTOR_VELOCITY ? real_splat(0) : h * l[i];
    quadrotor_rate_reverse(model, x, setpoint, effects, next, bar, setpoint_bar);
    for (int i = 0; i < QUADROTOR_STATES; i++) l[i] += bar[i];
}

/* ---- one step, and several ---------------------------------------------------------------------- */

/* Away from the ground there is a quicker way (quadrotor_free.h). */
static inline int quadrotor_is_free(unsigned effects) {
    return !(effects & (QUADROTOR_EFFECT_FLOOR | QUADROTOR_EFFECT_GROUND_EFFECT));
}

static inline void quadrotor_substep(const struct quadrotor_model *model, const real *x, const real *setpoint,
                                     unsigned effects, real_scalar h, real *x_next) {
    if (effects & QUADROTOR_EFFECT_SEMI_IMPLICIT)
        quadrotor_semi_implicit(model, x, setpoint, effects, h, x_next);
    else if (quadrotor_is_free(effects)) {
        struct quadrotor_free_stages stage;
        quadrotor_free_runge_kutta(model, x, setpoint, effects, h, &stage, x_next);
    } else
        quadrotor_runge_kutta(model, x, setpoint, effects, h, x_next);
}

static inline void quadrotor_substep_reverse(const struct quadrotor_model *model, const real *x, const real *setpoint,
                                             unsigned effects, real_scalar h, real *l, real *setpoint_bar) {
    if (effects & QUADROTOR_EFFECT_SEMI_IMPLICIT)
        quadrotor_semi_implicit_reverse(model, x, setpoint, effects, h, l, setpoint_bar);
    else if (quadrotor_is_free(effects))
        quadrotor_free_runge_kutta_reverse(model, x, setpoint, effects, h, l, setpoint_bar);
    else
        quadrotor_runge_kutta_reverse(model, x, setpoint, effects, h, l, setpoint_bar);
}

/* One step of length dt; x_next may be x. */
static inline void quadrotor_step(const real *x, const real *setpoint, const real *parameter, unsigned effects,
                                  real_scalar dt, real *x_next) {
    const struct quadrotor_model model = quadrotor_model(parameter, effects);
    quadrotor_substep(&model, x, setpoint, effects, dt, x_next);
}

/* l: adjoint of x_next on entry, of x on return; setpoint_bar is added to. */
static inline void quadrotor_step_reverse(const real *x, const real *setpoint, const real *parameter, unsigned effects,
                                          real_scalar dt, real *l, real *setpoint_bar) {
    const struct quadrotor_model model = quadrotor_model(parameter, effects);
    quadrotor_substep_reverse(&model, x, setpoint, effects, dt, l, setpoint_bar);
}

/* What a step leaves for its reverse sweep; elsewhere than quadrotor_free.h nothing, and it is computed again. */
struct quadrotor_kept {
    struct quadrotor_free_stages stage;
    real scale; /* 1/|q| before normalising */
};

static inline int quadrotor_keeps(unsigned effects) {
    return quadrotor_is_free(effects) && !(effects & QUADROTOR_EFFECT_SEMI_IMPLICIT);
}

/* x_next must not be x. */
static inline void quadrotor_step_keep(const struct quadrotor_model *model, const real *x, const real *setpoint,
                                       unsigned effects, real_scalar dt, struct quadrotor_kept *kept, real *x_next) {
    if (quadrotor_keeps(effects))
        kept->scale = quadrotor_free_runge_kutta(model, x, setpoint, effects, dt, &kept->stage, x_next);
    else
        quadrotor_substep(model, x, setpoint, effects, dt, x_next);
}

/* As quadrotor_step_reverse. */
static inline void quadrotor_step_kept_reverse(const struct quadrotor_model *model, const struct quadrotor_kept *kept,
                                               const real *x, const real *x_next, const real *setpoint,
                                               unsigned effects, real_scalar dt, real *l, real *setpoint_bar) {
    if (quadrotor_keeps(effects))
        quadrotor_free_reverse(model, &kept->stage, kept->scale, x_next, setpoint, effects, dt, l, setpoint_bar);
    else
        quadrotor_substep_reverse(model, x, setpoint, effects, dt, l, setpoint_bar);
}

/* dt in `substeps` equal parts, 1 to QUADROTOR_SUBSTEPS_MAX; x_next may be x. */
static inline void quadrotor_advance(const real *x, const real *setpoint, const real *parameter, unsigned effects,
                                     int substeps, real_scalar dt, real *x_next) {
    const struct quadrotor_model model = quadrotor_model(parameter, effects);
    const real_scalar h = dt / (real_scalar)substeps;
    quadrotor_substep(&model, x, setpoint, effects, h, x_next);
    for (int i = 1; i < substeps; i++) quadrotor_substep(&model, x_next, setpoint, effects, h, x_next);
}

/* As quadrotor_step_reverse; keeps the state before each substep. */
static inline void quadrotor_advance_reverse(const real *x, const real *setpoint, const real *parameter,
                                             unsigned effects, int substeps, real_scalar dt, real *l,
                                             real *setpoint_bar) {
    const struct quadrotor_model model = quadrotor_model(parameter, effects);
    const real_scalar h = dt / (real_scalar)substeps;
    real before[QUADROTOR_SUBSTEPS_MAX][QUADROTOR_STATES];
    for (int i = 0; i < QUADROTOR_STATES; i++) before[0][i] = x[i];
    for (int i = 1; i < substeps; i++) quadrotor_substep(&model, before[i - 1], setpoint, effects, h, before[i]);
    for (int i = substeps - 1; i >= 0; i--)
        quadrotor_substep_reverse(&model, before[i], setpoint, effects, h, l, setpoint_bar);
}

#endif
