/* environment_variant.c: steps and resets of a range of worlds, REAL_LANES at a time; compiled once per instruction
 * set.
 *
 * Every world passes through the same vector code whatever its neighbours do, so that its result depends on neither
 * their number nor the threads. */
#include "environment_step.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define ALWAYS_INLINE static inline __attribute__((always_inline))

_Static_assert(ENVIRONMENT_LANES_MAX % REAL_LANES == 0, "a range starts on a block of every variant");
_Static_assert(sizeof(real) == 4 * REAL_LANES, "a block of memory is an array of real");

ALWAYS_INLINE real *block_at(const struct environment_job *job, int64_t first) {
    return (real *)(void *)(job->memory + first * job->config->layout.rows);
}

/* Actions (n, 4) of the block, clipped, one vector per motor. Worlds that only pad the last block repeat its last. */
ALWAYS_INLINE void load_actions(const struct environment_job *job, int64_t first, real action[4]) {
    const int64_t last = job->count - 1;
    float lane_action[4][REAL_LANES];
    for (int lane = 0; lane < REAL_LANES; lane++) {
        const float *source = job->action + 4 * (first + lane < last ? first + lane : last);
        for (int i = 0; i < 4; i++) lane_action[i][lane] = source[i];
    }
    for (int i = 0; i < 4; i++) action[i] = real_clip(real_load(lane_action[i]), real_splat(-1), real_splat(1));
}

/* ---- outputs ------------------------------------------------------------------------------------ */

ALWAYS_INLINE void write_rows(float *target, real_mask lanes, int every, real value) {
    real_store(target, every ? value : real_select(lanes, value, real_load(target)));
}

/* As the network sees it, if that is asked for. */
ALWAYS_INLINE real as_asked(const struct environment_config *c, const struct environment_term *term, real value) {
    const real bound = real_splat(term->clip);
    return c->normalised ? term->scale * real_clip(value, -bound, bound) : value;
}

/* Its term comes after the sensed ones. */
ALWAYS_INLINE void write_history(const struct environment_job *job, int64_t first, real *row, int head, real_mask lanes,
                                 int every) {
    const struct environment_config *c = job->config;
    float *target = job->observation + (c->observation_size - 4 * c->history_length) * job->stride + first;
    for (int back = c->history_length - 1; back >= 0; back--) {
        const real *action = history_slot(&c->layout, row, head, back);
        for (int i = 0; i < 4; i++, target += job->stride)
            write_rows(target, lanes, every, as_asked(c, &c->term[c->terms], action[i]));
    }
}

/* every: all lanes; otherwise only those set. */
ALWAYS_INLINE void write_observation(const struct environment_job *job, int64_t first, real *row, int head,
                                     const struct environment_view *view, real_mask lanes, int every) {
    const struct environment_config *c = job->config;
    float *target = job->observation + first;
    for (int t = 0; t < c->terms; t++) {
        const struct environment_term *term = &c->term[t];
        for (int i = 0; i < term->size; i++, target += job->stride)
            write_rows(target, lanes, every, as_asked(c, term, view->sensed[term->source + i]));
    }
    if (c->history_length) write_history(job, first, row, head, lanes, every);
}

/* Truth: errors, rotation, rate; share of the episode that is left; then the table. */
ALWAYS_INLINE void write_privileged(const struct environment_job *job, int64_t first, const real *row,
                                    const struct environment_view *view, real_mask lanes, int every) {
    const struct environment_config *c = job->config;
    float *target = job->privileged + first;
    for (int i = 0; i < SENSED; i++, target += job->stride) write_rows(target, lanes, every, view->truth[i]);
    const real age = real_from_bits((real_bits)row[ENVIRONMENT_AGE]);
    write_rows(target, lanes, every, 1 - age / (float)c->episode_steps);
    for (int i = 0; i < c->privileged_size - SENSED - 1; i++) {
        const struct environment_privileged *entry = &c->privileged[i];
        target += job->stride;
        write_rows(target, lanes, every, (row[entry->row] - entry->offset) * entry->factor);
    }
}

static void keep_ended(const float *rows, int64_t stride, int size, int64_t first, int64_t count, real_mask ended,
                       float *target) {
    for (int lane = 0; lane < REAL_LANES && first + lane < count; lane++)
        for (int i = 0; ended[lane] && i < size; i++)
            target[(first + lane) * size + i] = rows[i * stride + first + lane];
}

/* ---- an episode begins -------------------------------------------------------------------------- */

ALWAYS_INLINE real_bits key_of(const real *row) {
    const real_bits identity[2] = {(real_bits)row[ENVIRONMENT_IDENTITY], (real_bits)row[ENVIRONMENT_IDENTITY + 1]};
    return random_key(identity, (real_bits)row[ENVIRONMENT_EPISODE], (real_bits)row[ENVIRONMENT_AGE]);
}

static __attribute__((noinline)) void begin_block(const struct environment_job *job, int64_t first, real *row, int head,
                                                  real_mask lanes) {
    const struct environment_config *c = job->config;
    real position[3], velocity[3];
    struct environment_view view;
    environment_begin(c, row, lanes);
    const struct environment_moment moment = {.lanes = lanes, .first = 1, .key = key_of(row)};
    reference_at(c, row, (real_bits)row[ENVIRONMENT_AGE], position, velocity);
    environment_look(c, &moment, row, position, velocity, &view);
    write_observation(job, first, row, head, &view, lanes, 0);
    if (job->privileged) write_privileged(job, first, row, &view, lanes, 0);
}

static __attribute__((noinline)) void end_block(const struct environment_job *job, int64_t first, real *row, int head,
                                                real_mask ended) {
    const struct environment_config *c = job->config;
    keep_ended(job->observation, job->stride, c->observation_size, first, job->count, ended, job->ended_observation);
    if (job->privileged)
        keep_ended(job->privileged, job->stride, c->privileged_size, first, job->count, ended, job->ended_privileged);
    begin_block(job, first, row, head, ended);
}

/* ---- one step ----------------------------------------------------------------------------------- */

ALWAYS_INLINE void step_block(const struct environment_job *job, int64_t first, unsigned effects, int substeps) {
    const struct environment_config *c = job->config;
    const struct environment_layout *l = &c->layout;
    real *row = block_at(job, first), *state = row + ENVIRONMENT_STATE, *parameter = row + ENVIRONMENT_PARAMETER;
    real *action = history_slot(l, row, job->head, 0), setpoint[4];
    load_actions(job, first, action);
    row[ENVIRONMENT_AGE] = (real)((real_bits)row[ENVIRONMENT_AGE] + 1u);
    const struct environment_moment moment = {.lanes = mask_splat(1), .first = 0, .key = key_of(row)};
    if (l->gust >= 0) gust_advance(l, moment.key, row);
    const real voltage = l->battery >= 0 ? battery_advance(c, row) : real_splat(c->drive.voltage_nominal);
    command(c, row, job->head, voltage, setpoint);
    quadrotor_advance(state, setpoint, parameter, effects, substeps, c->dt, state);

    const real_bits age = (real_bits)row[ENVIRONMENT_AGE];
    real position[3], velocity[3];
    struct environment_view view;
    reference_at(c, row, age, position, velocity);
    environment_look(c, &moment, row, position, velocity, &view);
    const real *error = view.truth + SENSED_POSITION, *error_dot = view.truth + SENSED_VELOCITY;
    const real_mask terminated = ~is_inside(&c->limits, state, error);
    const real_mask late = (real_mask)(age >= (uint32_t)c->episode_steps) & ~terminated;
    const real cost = step_cost(c, state, error, error_dot, action, history_slot(l, row, job->head, 1));
    const real reward = c->reward.survival - c->reward.scale * cost;
    real_store(job->reward + first, real_select(terminated, real_splat(c->reward.terminal), reward));
    mask_store_bytes(terminated, job->terminated + first);
    mask_store_bytes(late, job->truncated + first);
    write_observation(job, first, row, job->head, &view, moment.lanes, 1);
    if (job->privileged) write_privileged(job, first, row, &view, moment.lanes, 1);
    if (real_any(terminated | late)) end_block(job, first, row, job->head, terminated | late);
}

/* The effects of the usual case become compile-time constants, so that what is off costs nothing. */
void JOIN(environment_step_, FLEDGE_VARIANT)(const struct environment_job *job, int64_t first, int64_t last) {
    const unsigned effects = job->config->effects;
    const int substeps = job->config->substeps;
    if (effects == 0 && substeps == 1)
        for (; first < last; first += REAL_LANES) step_block(job, first, 0, 1);
    else if (effects == QUADROTOR_EFFECT_DRAG && substeps == 1)
        for (; first < last; first += REAL_LANES) step_block(job, first, QUADROTOR_EFFECT_DRAG, 1);
    else
        for (; first < last; first += REAL_LANES) step_block(job, first, effects, substeps);
}

void JOIN(environment_reset_, FLEDGE_VARIANT)(const struct environment_job *job, int64_t first, int64_t last) {
    for (; first < last; first += REAL_LANES) {
        real_mask lanes = mask_splat(1);
        for (int lane = 0; job->mask && lane < REAL_LANES; lane++)
            lanes[lane] = first + lane < job->count && job->mask[first + lane] ? -1 : 0;
        if (real_any(lanes)) begin_block(job, first, block_at(job, first), job->head, lanes);
    }
}
