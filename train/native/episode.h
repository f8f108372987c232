/* episode.h: what surrounds the network in a step: sensors, reference, command delay, cost, limits. Each forward text
 * is followed by its reverse. `env` is a block of environments: rows of learner.h, one vector each. */
#ifndef FLEDGE_EPISODE_H
#define FLEDGE_EPISODE_H

#include "lanes.h"
#include "learner.h"

enum { ROTATION = 3, VELOCITY_ERROR = 12, ANGULAR_VELOCITY = 15 }; /* places in the observation */

typedef uint32_t random_lanes __attribute__((vector_size(4 * REAL_LANES)));

/* Nearly Gaussian, mean 0, deviation 1: sum of four bytes of an xorshift word; the bytes' variance is (256^2 - 1) / 12.
 */
static inline real sample_noise(random_lanes *state) {
    random_lanes s = *state;
    s ^= s << 13, s ^= s >> 17, s ^= s << 5;
    *state = s;
    const random_lanes pairs = (s & 0x00ff00ff) + ((s >> 8) & 0x00ff00ff);
    const real_mask sum = (real_mask)((pairs & 0xffff) + (pairs >> 16));
    return (__builtin_convertvector(sum, real) - 510.0f) * 0.00676582f; /* 1 / sqrt(4 * 65535 / 12) */
}

/* Position and velocity of the reference, r = A cos(phase), r_dot = -A w sin(phase). */
static inline void reference_error(const real *env, const real phase[6], const real *state, real error[6]) {
    for (int i = 0; i < 3; i++) {
        const real amplitude = env[LEARNER_AMPLITUDE + i];
        error[i] = state[QUADROTOR_POSITION + i] - amplitude * phase[i];
        error[3 + i] = state[QUADROTOR_VELOCITY + i] + amplitude * env[LEARNER_FREQUENCY + i] * phase[3 + i];
    }
}

/* phase: cosines and sines of three angles; turns each by the angle whose cosine and sine are given. */
static inline void rotate_phase(const real cosine[3], const real sine[3], real phase[6]) {
    for (int i = 0; i < 3; i++) {
        const real c = phase[i], s = phase[3 + i];
        phase[i] = c * cosine[i] - s * sine[i], phase[3 + i] = s * cosine[i] + c * sine[i];
    }
}

/* One step by rotation, no trigonometry. */
static inline void reference_advance(const real *env, real phase[6]) {
    rotate_phase(env + LEARNER_COSINE_STEP, env + LEARNER_SINE_STEP, phase);
}

/* What the sensors say: errors, attitude and rates of the true state, with noise. */
static inline void sense(const struct learner_problem *p, const real *state, const real error[6], real noise_scale,
                         random_lanes *random, real sensed[LEARNER_OBSERVED]) {
    for (int i = 0; i < 3; i++) {
        sensed[i] = error[i], sensed[VELOCITY_ERROR + i] = error[3 + i];
        sensed[ANGULAR_VELOCITY + i] = state[QUADROTOR_ANGULAR_VELOCITY + i];
    }
    quaternion_matrix(state + QUADROTOR_QUATERNION, sensed + ROTATION);
    for (int i = 0; i < LEARNER_OBSERVED; i++) sensed[i] += p->noise[i] * noise_scale * sample_noise(random);
}

/* Scaled network input from what was sensed. */
static inline void observe(const struct learner_problem *p, const real sensed[LEARNER_OBSERVED], real *input) {
    for (int i = 0; i < LEARNER_OBSERVED; i++) {
        const real bound = real_splat(p->clip[i]);
        input[i] = p->scale[i] * real_clip(sensed[i], -bound, bound);
    }
}

/* Future references minus the sensed position and velocity, nearest first, behind the observation. With the reference r
 * and its sensed error e, r(t + s) - (r(t) + e) = A (cos(phase + w s) - cos(phase)) - e, and likewise the velocity. */
static inline void look_ahead(const struct learner_problem *p, const real *env, const real phase[6],
                              const real sensed[LEARNER_OBSERVED], real *input) {
    const real bound = real_splat(p->ahead_clip);
    real later[6];
    for (int i = 0; i < 6; i++) later[i] = phase[i];
    for (int k = 0; k < p->network.look_ahead; k++) {
        real *ahead = input + LEARNER_OBSERVED + LEARNER_AHEAD * k;
        rotate_phase(env + LEARNER_COSINE_AHEAD, env + LEARNER_SINE_AHEAD, later);
        for (int i = 0; i < 3; i++) {
            const real amplitude = env[LEARNER_AMPLITUDE + i], speed = amplitude * env[LEARNER_FREQUENCY + i];
            const real position = amplitude * (later[i] - phase[i]) - sensed[i];
            const real velocity = speed * (phase[3 + i] - later[3 + i]) - sensed[VELOCITY_ERROR + i];
            ahead[i] = p->ahead_scale * real_clip(position, -bound, bound);
            ahead[3 + i] = p->ahead_scale * real_clip(velocity, -bound, bound);
        }
    }
}

/* Adjoint of what was sensed: a clipped element passes nothing. */
static inline real unclipped(real bound, real input, real bar) {
    return real_choose(bound, real_abs(input), bar, real_splat(0));
}

/* Adds to the adjoint of the state. */
static inline void observe_reverse(const struct learner_problem *p, const real *state, const real *input,
                                   const real *input_bar, real *state_bar) {
    real bar[LEARNER_OBSERVED];
    for (int i = 0; i < LEARNER_OBSERVED; i++)
        bar[i] = unclipped(real_splat(p->clip[i] * p->scale[i]), input[i], p->scale[i] * input_bar[i]);
    const real bound = real_splat(p->ahead_clip * p->ahead_scale);
    for (int k = 0; k < p->network.look_ahead; k++)
        for (int i = 0; i < 3; i++) {
            const int at = LEARNER_OBSERVED + LEARNER_AHEAD * k + i;
            bar[i] -= unclipped(bound, input[at], p->ahead_scale * input_bar[at]);
            bar[VELOCITY_ERROR + i] -= unclipped(bound, input[at + 3], p->ahead_scale * input_bar[at + 3]);
        }
    for (int i = 0; i < 3; i++) {
        state_bar[QUADROTOR_POSITION + i] += bar[i];
        state_bar[QUADROTOR_VELOCITY + i] += bar[VELOCITY_ERROR + i];
        state_bar[QUADROTOR_ANGULAR_VELOCITY + i] += bar[ANGULAR_VELOCITY + i];
    }
    quaternion_matrix_reverse(state + QUADROTOR_QUATERNION, bar + ROTATION, state_bar + QUADROTOR_QUATERNION);
}

/* Command with fractional delay, u_t = sum_d weight_d a_t-d, to rotor speed set-points and their slopes.
 * action: the row of step t, the past before it. */
static inline void command(const struct learner_problem *p, const real *env, const real *action, real setpoint[4],
                           real slope[4]) {
    for (int i = 0; i < 4; i++) {
        real u = env[LEARNER_DELAY] * action[i];
        for (int d = 1; d < LEARNER_DELAYS; d++) u += env[LEARNER_DELAY + d] * action[i - 4 * d];
        setpoint[i] = quadrotor_setpoint(&p->actuation, u, &slope[i]);
    }
}

static inline void command_reverse(const real *env, const real slope[4], const real setpoint_bar[4], real *action_bar) {
    for (int i = 0; i < 4; i++) {
        const real u_bar = slope[i] * setpoint_bar[i];
        for (int d = 0; d < LEARNER_DELAYS; d++) action_bar[i - 4 * d] += env[LEARNER_DELAY + d] * u_bar;
    }
}

/* Still worth simulating: far outside, the physics would only feed garbage into the gradient. NaN counts as outside. */
#define OUTSIDE_FACTOR 3.0f
#define OUTSIDE_VELOCITY 20.0f         /* [m/s] */
#define OUTSIDE_ANGULAR_VELOCITY 80.0f /* [rad/s] */
static inline real_mask is_inside(const struct learner_problem *p, const real *state, const real error[6]) {
    const real far = real_splat(OUTSIDE_FACTOR * p->position_limit), fast = real_splat(OUTSIDE_VELOCITY);
    const real spin = real_splat(OUTSIDE_ANGULAR_VELOCITY);
    real_mask inside = real_greater(far, error[0]);
    for (int i = 0; i < 3; i++) {
        const real v = state[QUADROTOR_VELOCITY + i], w = state[QUADROTOR_ANGULAR_VELOCITY + i];
        inside &= real_greater(far, error[i]) & real_greater(error[i], -far);
        inside &= real_greater(fast, v) & real_greater(v, -fast);
        inside &= real_greater(spin, w) & real_greater(w, -spin);
    }
    return inside;
}

/* Cost of step t: of the state it leads to, of its action and of the change of action.
 *   wp |e|^2 + wv |e_dot|^2 + wt (qx^2 + qy^2) + wy qz^2 + ww |w|^2 + wa |a - hover|^2 + wd |a_t - a_t-1|^2 */
static inline real step_cost(const struct learner_problem *p, const real *state, const real error[6],
                             const real *action) {
    const struct learner_cost *c = &p->cost;
    const real *q = state + QUADROTOR_QUATERNION, *w = state + QUADROTOR_ANGULAR_VELOCITY;
    real sum = c->position * dot(error, error) + c->velocity * dot(error + 3, error + 3) +
               c->tilt * (q[1] * q[1] + q[2] * q[2]) + c->yaw * q[3] * q[3] + c->angular_velocity * dot(w, w);
    for (int i = 0; i < 4; i++) {
        const real away = action[i] - p->hover_action, change = action[i] - action[i - 4];
        sum += c->action * away * away + c->action_rate * change * change;
    }
    return sum;
}

/* weight: discount^t / (environments * horizon), 0 where the step does not count. */
static inline void step_cost_reverse(const struct learner_problem *p, const real *state, const real error[6],
                                     const real *action, real weight, real *state_bar, real *action_bar) {
    const struct learner_cost *c = &p->cost;
    const real *q = state + QUADROTOR_QUATERNION, *w = state + QUADROTOR_ANGULAR_VELOCITY;
    const real twice = 2 * weight;
    for (int i = 0; i < 3; i++) {
        state_bar[QUADROTOR_POSITION + i] += twice * c->position * error[i];
        state_bar[QUADROTOR_VELOCITY + i] += twice * c->velocity * error[3 + i];
        state_bar[QUADROTOR_QUATERNION + 1 + i] += twice * (i < 2 ? c->tilt : c->yaw) * q[1 + i];
        state_bar[QUADROTOR_ANGULAR_VELOCITY + i] += twice * c->angular_velocity * w[i];
    }
    for (int i = 0; i < 4; i++) {
        const real change = twice * c->action_rate * (action[i] - action[i - 4]);
        action_bar[i] += twice * c->action * (action[i] - p->hover_action) + change;
        action_bar[i - 4] -= change;
    }
}

#endif
