/* environment_reset.h: a new episode: robot, disturbances, sensors, reference and first state, each drawn anew. */
#ifndef FLEDGE_ENVIRONMENT_RESET_H
#define FLEDGE_ENVIRONMENT_RESET_H

#include "environment_reference.h"

static inline real reset_between(real_bits key, int channel, float low, float high) {
    return low + (high - low) * random_uniform(random_word(key, channel));
}

/* Row after row of the table; every parameter that differs between worlds comes from here. */
static inline void reset_draws(const struct environment_config *c, real_bits key, real *fresh) {
    real_bits word = bits_splat(0);
    real unit = real_splat(0);
    for (int i = 0, channel = -1; i < c->draws; i++) {
        const struct environment_draw *draw = &c->draw[i];
        if (draw->channel != channel) word = random_word(key, channel = draw->channel), unit = random_uniform(word);
        real value = draw->a + (draw->b - draw->a) * unit;
        if (draw->distribution == DRAW_LOG_UNIFORM) value = real_exp(value);
        if (draw->distribution == DRAW_NORMAL) value = draw->a + draw->b * random_normal(word);
        real *row = &fresh[draw->row];
        if (draw->operation == DRAW_ADD) *row += value;
        if (draw->operation == DRAW_MULTIPLY) *row *= value;
        if (draw->operation == DRAW_DIVIDE) *row /= value;
    }
}

static inline real open_circuit_voltage(const struct environment_config *c, real charge) {
    const float *v = c->open_circuit;
    return v[0] + charge * (v[1] + charge * (v[2] + charge * v[3]));
}

/* What is drawn in a unit for people and used in one for the step. */
static inline void reset_derived(const struct environment_config *c, real_bits key, real *fresh) {
    const struct environment_layout *l = &c->layout;
    if (l->gyro >= 0) fresh[l->gyro] = 1 - real_exp(-TURN * c->dt * fresh[l->gyro]);
    if (l->gust >= 0) {
        real *mean = fresh + l->gust, *wind = fresh + ENVIRONMENT_PARAMETER + QUADROTOR_WIND;
        for (int i = 0; i < 3; i++) wind[i] = mean[i] + mean[3] * random_normal(random_word(key, RANDOM_GUST + i));
        mean[4] = real_exp(-c->dt / mean[4]);
    }
    if (l->battery >= 0)
        fresh[ENVIRONMENT_PARAMETER + QUADROTOR_BATTERY_VOLTAGE] = open_circuit_voltage(c, fresh[l->battery]);
}

/* Uniform over rotations by at most an angle m. The axis is uniform on the sphere. The angle's distribution function is
 * (a - sin a) / (m - sin m) = r^3, and the largest of three uniform numbers is distributed as that r. */
static inline void reset_attitude(const struct environment_initial *spec, real_bits key, int channel, real q[4]) {
    real r = random_uniform(random_word(key, channel));
    for (int i = 1; i < 3; i++) r = real_max(r, random_uniform(random_word(key, channel + i)));
    const real square = r * r, z = 2 * random_uniform(random_word(key, channel + 3)) - 1;
    real half = real_splat(spec->angle[ENVIRONMENT_ANGLE_COEFFICIENTS - 1]);
    for (int i = ENVIRONMENT_ANGLE_COEFFICIENTS - 2; i >= 0; i--) half = half * square + spec->angle[i];
    const real_bits turn = turn_from_real(r * half), azimuth = random_word(key, channel + 4);
    const real sine = sine_of_turn(turn), level = real_sqrt(real_max(1 - z * z, real_splat(0)));
    q[0] = cosine_of_turn(turn);
    q[1] = sine * level * cosine_of_turn(azimuth), q[2] = sine * level * sine_of_turn(azimuth), q[3] = sine * z;
}

/* InitialState of fledge_sim/tasks.py, relative to the reference at the age of the first step. */
static inline void reset_state(const struct environment_config *c, real_bits key, const real position[3],
                               const real velocity[3], real *state) {
    enum { KIND, ROTOR, SLOW, POSITION, VELOCITY = POSITION + 3, SPIN = VELOCITY + 3, ATTITUDE = SPIN + 3 };
    const struct environment_initial *s = &c->initial;
    const real kind = random_uniform(random_word(key, RANDOM_INITIAL + KIND)), zero = real_splat(0);
    const real_mask rest = real_greater(real_splat(s->rest_share), kind);
    const real_mask level = real_greater(real_splat(s->rest_share + s->guided_share), kind);
    real attitude[4], slope;
    reset_attitude(s, key, RANDOM_INITIAL + ATTITUDE, attitude);
    for (int i = 0; i < 4; i++)
        state[QUADROTOR_QUATERNION + i] = real_select(level, real_splat(i == 0 ? 1.0f : 0.0f), attitude[i]);
    for (int i = 0; i < 3; i++) {
        const real p = reset_between(key, RANDOM_INITIAL + POSITION + i, -s->position, s->position);
        const real v = reset_between(key, RANDOM_INITIAL + VELOCITY + i, -s->velocity, s->velocity);
        const real w = reset_between(key, RANDOM_INITIAL + SPIN + i, -s->angular_velocity, s->angular_velocity);
        state[QUADROTOR_POSITION + i] = position[i] + real_select(level, zero, p);
        state[QUADROTOR_VELOCITY + i] = velocity[i] + real_select(rest, zero, v);
        state[QUADROTOR_ANGULAR_VELOCITY + i] = real_select(rest, zero, w);
    }
    const real action = reset_between(key, RANDOM_INITIAL + ROTOR, s->rotor_action_low, s->rotor_action_high);
    const real slow = reset_between(key, RANDOM_INITIAL + SLOW, s->rest_rotor_low, s->rest_rotor_high);
    const real speed = real_select(rest, slow, quadrotor_setpoint(&c->drive.map, action, &slope));
    for (int i = 0; i < 4; i++) state[QUADROTOR_ROTOR_SPEED + i] = speed;
}

/* Begins the next episode in every lane. On entry the rows of identity and episode are set; afterwards all are up to
 * those that sensors remember, and the history, which is the caller's. */
static inline void environment_begin(const struct environment_config *c, real *row) {
    real position[3], velocity[3];
    const real_bits episode = (real_bits)row[ENVIRONMENT_EPISODE] + 1u;
    row[ENVIRONMENT_EPISODE] = (real)episode;
    const real_bits key = episode_key(row);
    real_bits age = bits_splat(0);
    if (c->staggered) {
        const real share = random_uniform(random_word(key, RANDOM_INITIAL - 1));
        const real_mask begun = (real_mask)(episode != 0u);
        age = bits_select(begun, age, bits_from_real(share * (float)c->episode_steps));
    }
    row[ENVIRONMENT_AGE] = (real)age;
    for (int i = ENVIRONMENT_PARAMETER; i < c->layout.drawn_end; i++) row[i] = real_splat(c->nominal[i]);
    reset_draws(c, key, row);
    reset_derived(c, key, row);
    reference_draw(c, key, row);
    reference_at(c, row, age, position, velocity);
    reset_state(c, key, position, velocity, row + ENVIRONMENT_STATE);
}

#endif
