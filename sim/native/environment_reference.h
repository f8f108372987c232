/* environment_reference.h: what a world should follow, at any step of its episode. */
#ifndef FLEDGE_ENVIRONMENT_REFERENCE_H
#define FLEDGE_ENVIRONMENT_REFERENCE_H

#include "counter_random.h"
#include "environment.h"

/* Rows of one harmonic: r = A cos(2 pi (phase + f age)), phase and f in fractions of a turn, wrapping (bits). */
enum { HARMONIC_AMPLITUDE = 0, HARMONIC_FREQUENCY = 3, HARMONIC_PHASE = 6, HARMONIC_ROWS = 9 };

#define TURN 6.28318531f

static inline void reference_harmonics(const struct environment_config *c, const real *harmonic, real_bits age,
                                       real position[3], real velocity[3]) {
    const float rate = -TURN * 0x1p-32f / c->dt;
    for (int i = 0; i < 3; i++) {
        const real amplitude = harmonic[HARMONIC_AMPLITUDE + i];
        const real_bits frequency = (real_bits)harmonic[HARMONIC_FREQUENCY + i];
        const real_bits turn = (real_bits)harmonic[HARMONIC_PHASE + i] + frequency * age;
        position[i] += amplitude * cosine_of_turn(turn);
        velocity[i] += amplitude * (rate * real_from_bits(frequency)) * sine_of_turn(turn);
    }
}

/* Walk from point to point (WaypointReference in fledge_sim/trajectories.py). Random points are not stored: point j is
 * drawn again from the numbers of the episode. */
enum { WAYPOINT_MOVE = 0, WAYPOINT_HOLD = 1, WAYPOINT_ROWS = 2 };

static inline void waypoint(const struct environment_config *c, real_bits key, real_bits index, real point[3]) {
    const struct environment_reference_spec *s = &c->reference;
    for (int i = 0; i < 3; i++) {
        if (s->points_given) {
            float lane_point[REAL_LANES];
            for (int lane = 0; lane < REAL_LANES; lane++) lane_point[lane] = s->point[index[lane]][i];
            point[i] = real_load(lane_point);
        } else {
            const real_bits channel = (uint32_t)(RANDOM_REFERENCE + WAYPOINT_ROWS + i) + 3u * index;
            const real_bits word = random_mix(key ^ (channel * 0x9e3779b9u));
            point[i] = s->half_width[i] * (2 * random_uniform(word) - 1);
        }
    }
}

/* P_j + (P_j+1 - P_j) (10 s^3 - 15 s^4 + 6 s^5), a rest at each point, at the last one for ever. */
static inline void reference_waypoints(const struct environment_config *c, const real *row, real_bits key,
                                       real_bits age, real position[3], real velocity[3]) {
    const real *rows = row + c->layout.reference, zero = real_splat(0), one = real_splat(1);
    const real last = real_splat((float)(c->reference.waypoints - 1));
    const real time = c->dt * real_from_bits(age), period = rows[WAYPOINT_MOVE] + rows[WAYPOINT_HOLD];
    const real j = real_floor(real_clip(time / period, zero, real_max(last - 1, zero)));
    const real s = real_clip((time - j * period) / rows[WAYPOINT_MOVE], zero, one);
    const real way = s * s * s * (10 + s * (-15 + 6 * s));
    const real pace = 30 * s * s * (1 - s) * (1 - s) / rows[WAYPOINT_MOVE];
    real start[3], end[3];
    waypoint(c, key, bits_from_real(j), start);
    waypoint(c, key, bits_from_real(real_min(j + 1, last)), end);
    for (int i = 0; i < 3; i++) {
        position[i] += start[i] + way * (end[i] - start[i]);
        velocity[i] += pace * (end[i] - start[i]);
    }
}

/* Key of the numbers drawn for the whole episode. */
static inline real_bits episode_key(const real *row) {
    const real_bits identity[2] = {(real_bits)row[ENVIRONMENT_IDENTITY], (real_bits)row[ENVIRONMENT_IDENTITY + 1]};
    return random_key(identity, (real_bits)row[ENVIRONMENT_EPISODE], bits_splat(0));
}

/* Position [m] and velocity [m/s], world. */
static inline void reference_at(const struct environment_config *c, const real *row, real_bits age, real position[3],
                                real velocity[3]) {
    for (int i = 0; i < 3; i++) position[i] = real_splat(c->reference.origin[i]), velocity[i] = real_splat(0);
    const real *rows = row + c->layout.reference;
    switch (c->reference.kind) {
    case REFERENCE_WAYPOINTS:
        reference_waypoints(c, row, episode_key(row), age, position, velocity);
        break;
    case REFERENCE_LISSAJOUS:
    case REFERENCE_SMOOTH:
        for (int k = 0; k < c->reference.harmonics; k++)
            reference_harmonics(c, rows + k * HARMONIC_ROWS, age, position, velocity);
        break;
    default:
        break;
    }
}

/* A mixture of hovering, figures of eight and free Lissajous curves; ReferenceDistribution in fledge_sim/tasks.py. */
static inline void reference_draw_lissajous(const struct environment_config *c, real_bits key, real *rows) {
    const struct environment_reference_spec *s = &c->reference;
    enum {
        KIND,
        PERIOD,
        WIDTH,
        EIGHT_PHASE,
        DIRECTION,
        FREQUENCY,
        ACCELERATION = FREQUENCY + 3,
        PHASE = ACCELERATION + 3
    };
    const real kind = random_uniform(random_word(key, RANDOM_REFERENCE + KIND));
    const real_mask is_eight = real_greater(real_splat(s->figure_eight_share), kind);
    const real_mask is_free = real_greater(real_splat(s->figure_eight_share + s->lissajous_share), kind) & ~is_eight;
    const real period =
        s->period_low + (s->period_high - s->period_low) * random_uniform(random_word(key, RANDOM_REFERENCE + PERIOD));
    const real width =
        s->width_low + (s->width_high - s->width_low) * random_uniform(random_word(key, RANDOM_REFERENCE + WIDTH));
    const real_bits eight_phase = random_word(key, RANDOM_REFERENCE + EIGHT_PHASE);
    const real eight_w = TURN / period;
    const real peak = real_max(width * eight_w * eight_w, 2 * width * eight_w * eight_w);
    const real shrink = real_min(real_splat(1), s->acceleration / real_max(peak, real_splat(1e-9f)));
    const real eight_amplitude[3] = {width * shrink, width * shrink * 0.5f, real_splat(0)};
    const real eight_frequency[3] = {eight_w, 2 * eight_w, real_splat(0)};
    const real_bits eight_turn[3] = {eight_phase, 2 * eight_phase - 0x40000000u, bits_splat(0)};
    real amplitude[3], frequency[3];
    real_bits turn[3];
    for (int i = 0; i < 3; i++) {
        const real w = s->frequency_low + (s->frequency_high - s->frequency_low) *
                                              random_uniform(random_word(key, RANDOM_REFERENCE + FREQUENCY + i));
        const real acceleration =
            s->acceleration * random_uniform(random_word(key, RANDOM_REFERENCE + ACCELERATION + i));
        const real free = real_min(acceleration / (w * w), real_splat(s->width_high));
        amplitude[i] = real_select(is_eight, eight_amplitude[i], real_select(is_free, free, real_splat(0)));
        frequency[i] = real_select(is_eight, eight_frequency[i], real_select(is_free, w, real_splat(0)));
        turn[i] = bits_select(is_eight, eight_turn[i], random_word(key, RANDOM_REFERENCE + PHASE + i));
    }
    const real_mask swapped = (real_mask)random_word(key, RANDOM_REFERENCE + DIRECTION) >> 31;
    for (int i = 0; i < 3; i++) {
        const int j = i < 2 ? 1 - i : 2;
        rows[HARMONIC_AMPLITUDE + i] = real_select(swapped, amplitude[j], amplitude[i]);
        rows[HARMONIC_FREQUENCY + i] =
            (real)turn_from_real(real_select(swapped, frequency[j], frequency[i]) * (c->dt / TURN));
        rows[HARMONIC_PHASE + i] = (real)bits_select(swapped, turn[j], turn[i]);
    }
}

/* K harmonics per axis, scaled so that half width, speed and acceleration stay within their bounds; `smooth` in
 * fledge_sim/trajectories.py. Channels: K x 3 sizes, K x 3 frequencies, K x 3 phases. */
static inline void reference_draw_smooth(const struct environment_config *c, real_bits key, real *rows) {
    const struct environment_reference_spec *s = &c->reference;
    const int block = 3 * s->harmonics;
    for (int i = 0; i < 3; i++) {
        real width = real_splat(0), speed = width, acceleration = width;
        for (int k = 0; k < s->harmonics; k++) {
            const int channel = RANDOM_REFERENCE + 3 * k + i;
            real *harmonic = rows + k * HARMONIC_ROWS + i;
            const real size = random_uniform(random_word(key, channel));
            const real w = s->frequency_low +
                           (s->frequency_high - s->frequency_low) * random_uniform(random_word(key, channel + block));
            width += size, speed += size * w, acceleration += size * w * w;
            harmonic[HARMONIC_AMPLITUDE] = size;
            harmonic[HARMONIC_FREQUENCY] = (real)turn_from_real(w * (c->dt / TURN));
            harmonic[HARMONIC_PHASE] = (real)random_word(key, channel + 2 * block);
        }
        const real tiny = real_splat(1e-6f);
        const real scale =
            real_min(s->half_width[i] / real_max(width, tiny),
                     real_min(s->speed / real_max(speed, tiny), s->acceleration / real_max(acceleration, tiny)));
        for (int k = 0; k < s->harmonics; k++) rows[k * HARMONIC_ROWS + HARMONIC_AMPLITUDE + i] *= scale;
    }
}

static inline void reference_draw_waypoints(const struct environment_config *c, real_bits key, real *rows) {
    const struct environment_reference_spec *s = &c->reference;
    rows[WAYPOINT_MOVE] =
        s->move_low + (s->move_high - s->move_low) * random_uniform(random_word(key, RANDOM_REFERENCE + WAYPOINT_MOVE));
    rows[WAYPOINT_HOLD] =
        s->hold_low + (s->hold_high - s->hold_low) * random_uniform(random_word(key, RANDOM_REFERENCE + WAYPOINT_HOLD));
}

/* A new reference for every lane; row is the block that gets it. */
static inline void reference_draw(const struct environment_config *c, real_bits key, real *row) {
    real *rows = row + c->layout.reference;
    if (c->reference.kind == REFERENCE_LISSAJOUS) reference_draw_lissajous(c, key, rows);
    if (c->reference.kind == REFERENCE_SMOOTH) reference_draw_smooth(c, key, rows);
    if (c->reference.kind == REFERENCE_WAYPOINTS) reference_draw_waypoints(c, key, rows);
}

#endif
