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

/* ---- outputs: (rows, stride), one world per column ----------------------------------------------- */

/* As a term says it, if the network is to see it so. */
ALWAYS_INLINE real normalised(const struct environment_config *c, const struct environment_term *term, real value) {
    const real bound = real_splat(term->clip);
    return c->normalised ? term->scale * real_clip(value, -bound, bound) : value;
}

ALWAYS_INLINE void write_observation(const struct environment_config *c, const struct environment_view *view,
                                     int64_t stride, float *target) {
    for (int t = 0; t < c->terms; t++) {
        const struct environment_term *term = &c->term[t];
        for (int i = 0; i < term->size; i++, target += stride)
            real_store(target, normalised(c, term, view->sensed[term->source + i]));
    }
}

/* Past actions, oldest first, after what is sensed. */
ALWAYS_INLINE void write_history(const struct environment_config *c, real *row, int head, int64_t stride,
                                 float *target) {
    target += (c->observation_size - 4 * c->history_length) * stride;
    for (int back = c->history_length - 1; back >= 0; back--) {
        const real *action = history_slot(&c->layout, row, head, back);
        for (int i = 0; i < 4; i++, target += stride) real_store(target, normalised(c, &c->history, action[i]));
    }
}

/* Truth: errors, rotation, rate; share of the episode that is left; then the table. */
ALWAYS_INLINE void write_privileged(const struct environment_config *c, const real *row,
                                    const struct environment_view *view, int64_t stride, float *target) {
    for (int i = 0; i < SENSED; i++, target += stride) real_store(target, view->truth[i]);
    const real age = real_from_bits((real_bits)row[ENVIRONMENT_AGE]);
    real_store(target, 1 - age / (float)c->episode_steps);
    for (int i = 0; i < c->privileged_size - SENSED - 1; i++) {
        const struct environment_privileged *entry = &c->privileged[i];
        target += stride;
        real_store(target, (row[entry->row] - entry->offset) * entry->factor);
    }
}

/* ---- an episode begins -------------------------------------------------------------------------- */

/* Worlds that wait for their next episode: they begin as many at a time as there are lanes, whichever blocks they are
 * from, because ends are rare. */
struct waiting {
    int count;
    int64_t world[REAL_LANES];
};

ALWAYS_INLINE real_bits key_of(const real *row) {
    const real_bits identity[2] = {(real_bits)row[ENVIRONMENT_IDENTITY], (real_bits)row[ENVIRONMENT_IDENTITY + 1]};
    return random_key(identity, (real_bits)row[ENVIRONMENT_EPISODE], (real_bits)row[ENVIRONMENT_AGE]);
}

/* The world's first row; the next is REAL_LANES further. */
ALWAYS_INLINE float *column_of(const struct environment_job *job, int64_t world) {
    const int64_t lane = world % REAL_LANES;
    return job->memory + (world - lane) * job->config->layout.rows + lane;
}

/* `rows` rows of a lane of a block into a column of an array. */
static void scatter(const float *block, int lane, int rows, int64_t stride, float *column) {
    for (int i = 0; i < rows; i++) column[i * stride] = block[i * REAL_LANES + lane];
}

static void scatter_constant(float value, int rows, int64_t stride, float *column) {
    for (int i = 0; i < rows; i++) column[i * stride] = value;
}

static __attribute__((noinline)) void begin(const struct environment_job *job, struct waiting *waiting) {
    const struct environment_config *c = job->config;
    real row[ENVIRONMENT_ROWS_MAX], position[3], velocity[3];
    real observation[SENSED + 6 * ENVIRONMENT_LOOK_AHEAD_MAX], privileged[ENVIRONMENT_PRIVILEGED_SIZE_MAX];
    struct environment_view view;
    for (int i = 0; i < ENVIRONMENT_AGE; i++)
        for (int lane = 0; lane < REAL_LANES; lane++) /* lanes that nobody waits for repeat the first */
            row[i][lane] = column_of(job, waiting->world[lane < waiting->count ? lane : 0])[i * REAL_LANES];
    environment_begin(c, row);
    const struct environment_moment moment = {.first = 1, .key = key_of(row)};
    reference_at(c, row, (real_bits)row[ENVIRONMENT_AGE], position, velocity);
    environment_look(c, &moment, row, position, velocity, &view);
    write_observation(c, &view, REAL_LANES, (float *)observation);
    if (job->privileged) write_privileged(c, row, &view, REAL_LANES, (float *)privileged);

    const int sensed = c->observation_size - 4 * c->history_length;
    const float hover = normalised(c, &c->history, real_splat(c->hover_action))[0];
    for (int lane = 0; lane < waiting->count; lane++) {
        const int64_t world = waiting->world[lane];
        float *column = column_of(job, world), *seen = job->observation + world;
        scatter((float *)row, lane, c->layout.history, REAL_LANES, column);
        scatter_constant(c->hover_action, 4 * c->layout.history_slots, REAL_LANES,
                         column + c->layout.history * REAL_LANES);
        if (world >= job->count) continue; /* padding */
        scatter((float *)observation, lane, sensed, job->stride, seen);
        scatter_constant(hover, 4 * c->history_length, job->stride, seen + sensed * job->stride);
        if (job->privileged)
            scatter((float *)privileged, lane, c->privileged_size, job->stride, job->privileged + world);
    }
    waiting->count = 0;
}

ALWAYS_INLINE void wait_for_begin(const struct environment_job *job, int64_t world, struct waiting *waiting) {
    waiting->world[waiting->count++] = world;
    if (waiting->count == REAL_LANES) begin(job, waiting);
}

/* What an ended episode saw last, (n, size). */
static void keep_ended(const float *rows, int64_t stride, int size, int64_t world, float *target) {
    for (int i = 0; i < size; i++) target[world * size + i] = rows[i * stride + world];
}

static __attribute__((noinline)) void end(const struct environment_job *job, int64_t first, real_mask ended,
                                          struct waiting *waiting) {
    const struct environment_config *c = job->config;
    for (int lane = 0; lane < REAL_LANES; lane++) {
        const int64_t world = first + lane;
        if (!ended[lane]) continue;
        if (world < job->count) {
            keep_ended(job->observation, job->stride, c->observation_size, world, job->ended_observation);
            if (job->privileged)
                keep_ended(job->privileged, job->stride, c->privileged_size, world, job->ended_privileged);
        }
        wait_for_begin(job, world, waiting);
    }
}

/* ---- one step ----------------------------------------------------------------------------------- */

ALWAYS_INLINE void step_block(const struct environment_job *job, int64_t first, unsigned effects, int substeps,
                              struct waiting *waiting) {
    const struct environment_config *c = job->config;
    const struct environment_layout *l = &c->layout;
    real *row = block_at(job, first), *state = row + ENVIRONMENT_STATE, *parameter = row + ENVIRONMENT_PARAMETER;
    real *action = history_slot(l, row, job->head, 0), setpoint[4];
    load_actions(job, first, action);
    row[ENVIRONMENT_AGE] = (real)((real_bits)row[ENVIRONMENT_AGE] + 1u);
    const struct environment_moment moment = {.first = 0, .key = key_of(row)};
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
    write_observation(c, &view, job->stride, job->observation + first);
    write_history(c, row, job->head, job->stride, job->observation + first);
    if (job->privileged) write_privileged(c, row, &view, job->stride, job->privileged + first);
    if (real_any(terminated | late)) end(job, first, terminated | late, waiting);
}

/* The effects of the usual case become compile-time constants, so that what is off costs nothing. */
void JOIN(environment_step_, FLEDGE_VARIANT)(const struct environment_job *job, int64_t first, int64_t last) {
    const unsigned effects = job->config->effects;
    const int substeps = job->config->substeps;
    struct waiting waiting = {.count = 0};
    if (effects == 0 && substeps == 1)
        for (; first < last; first += REAL_LANES) step_block(job, first, 0, 1, &waiting);
    else if (effects == QUADROTOR_EFFECT_DRAG && substeps == 1)
        for (; first < last; first += REAL_LANES) step_block(job, first, QUADROTOR_EFFECT_DRAG, 1, &waiting);
    else
        for (; first < last; first += REAL_LANES) step_block(job, first, effects, substeps, &waiting);
    if (waiting.count) begin(job, &waiting);
}

/* Padding is begun with the whole, never by a mask. */
void JOIN(environment_reset_, FLEDGE_VARIANT)(const struct environment_job *job, int64_t first, int64_t last) {
    struct waiting waiting = {.count = 0};
    const int64_t end_of_blocks = last == job->count ? (last + REAL_LANES - 1) / REAL_LANES * REAL_LANES : last;
    for (; first < end_of_blocks; first++)
        if (!job->mask || (first < job->count && job->mask[first])) wait_for_begin(job, first, &waiting);
    if (waiting.count) begin(job, &waiting);
}
