/* environment_sense.h: from the truth to what the policy sees. In this order: delay, bias, gyro low-pass, noise,
 * quantisation, dropped position updates; then errors against the reference. */
#ifndef FLEDGE_ENVIRONMENT_SENSE_H
#define FLEDGE_ENVIRONMENT_SENSE_H

#include "environment_reference.h"

struct environment_view {
    real truth[SENSED];                                   /* errors of position and velocity, no sensors between */
    real sensed[SENSED + 6 * ENVIRONMENT_LOOK_AHEAD_MAX]; /* likewise as sensed; then the future references */
};

/* What the sensors remember is filled at the `first` moment of an episode, and advances at the others. */
struct environment_moment {
    int first;
    real_bits key; /* of the random numbers of this step */
};

/* x(t - d steps), between x_t, x_t-1 and x_t-2; past: x_t-1 then x_t-2. */
static inline void sense_delay(const struct environment_layout *l, const struct environment_moment *m, real *row,
                               real x[SENSED]) {
    const real delay = row[l->sensor_delay], zero = real_splat(0);
    real weight[3];
    for (int k = 0; k < 3; k++) weight[k] = real_max(zero, 1 - real_abs(delay - (real_scalar)k));
    real *past = row + l->past;
    for (int i = 0; i < SENSED; i++) {
        const real now = x[i], one = m->first ? now : past[i], two = m->first ? now : past[SENSED + i];
        x[i] = weight[0] * now + weight[1] * one + weight[2] * two;
        past[SENSED + i] = one, past[i] = now;
    }
}

static inline void sense_bias(const real *bias, real x[SENSED]) {
    for (int i = 0; i < 3; i++) {
        x[SENSED_POSITION + i] += bias[i];
        x[SENSED_VELOCITY + i] += bias[3 + i];
        x[SENSED_ANGULAR_VELOCITY + i] += bias[6 + i];
    }
}

/* y <- y + share (x - y) */
static inline void sense_low_pass(const struct environment_layout *l, const struct environment_moment *m, real *row,
                                  real x[SENSED]) {
    for (int i = 0; i < 3; i++) {
        real *memory = &row[l->gyro_memory + i], *w = &x[SENSED_ANGULAR_VELOCITY + i];
        if (!m->first) *w = *memory + row[l->gyro] * (*w - *memory);
        *memory = *w;
    }
}

static inline void sense_noise(const struct environment_config *c, const struct environment_moment *m, const real *row,
                               real x[SENSED]) {
    const real scale = row[ENVIRONMENT_NOISE_SCALE];
    for (int i = 0; i < SENSED; i++)
        x[i] += c->deviation[i] * scale * random_normal(random_word(m->key, RANDOM_SENSOR_NOISE + i));
}

static inline void sense_quantise(const float step[3], real x[SENSED]) {
    const int place[3] = {SENSED_POSITION, SENSED_VELOCITY, SENSED_ANGULAR_VELOCITY};
    for (int j = 0; j < 3; j++)
        for (int i = 0; step[j] > 0 && i < 3; i++) x[place[j] + i] = step[j] * real_round(x[place[j] + i] / step[j]);
}

static inline void sense_dropout(const struct environment_layout *l, const struct environment_moment *m, real *row,
                                 real x[SENSED]) {
    const real_mask lost = real_greater(row[l->dropout], random_uniform(random_word(m->key, RANDOM_DROPOUT)));
    for (int i = 0; i < 3; i++) {
        real *memory = &row[l->position_memory + i], *p = &x[SENSED_POSITION + i];
        if (!m->first) *p = real_select(lost, *memory, *p);
        *memory = *p;
    }
}

static inline void environment_look(const struct environment_config *c, const struct environment_moment *m, real *row,
                                    const real position[3], const real velocity[3], struct environment_view *view) {
    const struct environment_layout *l = &c->layout;
    const real *state = row + ENVIRONMENT_STATE;
    real *x = view->sensed;
    for (int i = 0; i < 3; i++) {
        x[SENSED_POSITION + i] = state[QUADROTOR_POSITION + i], x[SENSED_VELOCITY + i] = state[QUADROTOR_VELOCITY + i];
        x[SENSED_ANGULAR_VELOCITY + i] = state[QUADROTOR_ANGULAR_VELOCITY + i];
    }
    quaternion_matrix(state + QUADROTOR_QUATERNION, x + SENSED_ROTATION);
    for (int i = 0; i < SENSED; i++) view->truth[i] = x[i];
    if (l->past >= 0) sense_delay(l, m, row, x);
    if (l->bias >= 0) sense_bias(row + l->bias, x);
    if (l->gyro >= 0) sense_low_pass(l, m, row, x);
    if (c->noisy) sense_noise(c, m, row, x);
    sense_quantise(c->quantisation, x);
    if (l->dropout >= 0) sense_dropout(l, m, row, x);
    const real_bits age = (real_bits)row[ENVIRONMENT_AGE];
    for (int k = 0; k < c->reference.look_ahead; k++) {
        real *ahead = x + SENSED + 6 * k;
        const real_bits later = age + (uint32_t)((k + 1) * c->reference.look_ahead_steps);
        reference_at(c, row, later, ahead, ahead + 3);
        for (int i = 0; i < 3; i++) ahead[i] -= x[SENSED_POSITION + i], ahead[3 + i] -= x[SENSED_VELOCITY + i];
    }
    for (int i = 0; i < 3; i++) {
        x[SENSED_POSITION + i] -= position[i], view->truth[SENSED_POSITION + i] -= position[i];
        x[SENSED_VELOCITY + i] -= velocity[i], view->truth[SENSED_VELOCITY + i] -= velocity[i];
    }
}

#endif
