/* learner_variant.c: one iteration of the learner for one instruction set; FLEDGE_VARIANT and REAL_LANES come from
 * CMake.
 *
 * A block of REAL_LANES environments is taken through the whole horizon before the next, so that its trace stays in
 * cache. Forward leaves the trace in scratch; reverse consumes it and adds to the weight gradient.
 */
#include "learner_variant.h"

#include "actor_weights.h"
#include "adam.h"
#include "episode.h"

LEARNER_DECLARE(FLEDGE_VARIANT)
#define VARIANT(name) LEARNER_JOIN(name, FLEDGE_VARIANT)

enum { SPAN = 48 };                /* steps of the weight gradient at once: what a tile sees again is then in L1 */
enum { PACKED_PER_PARAMETER = 3 }; /* both orders, and padding: at most this many floats per weight */

struct block {
    struct actor_trace actor;
    real *state;                 /* [horizon + 1][17] */
    real *error;                 /* [horizon + 1][6], before step t */
    real *setpoint;              /* [horizon][4] */
    real *slope;                 /* [horizon][4] */
    real *alive;                 /* [horizon], 1 where the step counts, else 0 */
    real *action;                /* [past + horizon][4], begins with the past */
    real *action_bar;            /* [past + horizon + 1][4]; the last row takes the padding of linear.h */
    real *env;                   /* [LEARNER_MEMORY] */
    struct quadrotor_kept *kept; /* [horizon] */
};

/* ---- memory --------------------------------------------------------------------------------------------------------
 */

struct arena {
    real *base; /* NULL: only count */
    ptrdiff_t used;
};

static real *take(struct arena *arena, int rows, int columns) {
    real *const taken = arena->base ? arena->base + arena->used : NULL;
    arena->used += (ptrdiff_t)rows * columns;
    return taken;
}

static struct block lay_out(const struct learner_problem *p, struct arena *arena) {
    const struct learner_network *n = &p->network;
    const int steps = p->horizon, rows = steps + learner_past_actions(n), gru = n->kind == LEARNER_GRU;
    struct block b;
    b.actor.input = take(arena, steps, input_stride(n));
    b.actor.output_bar = take(arena, steps, OUTPUT_STRIDE);
    b.actor.gates = take(arena, steps, gru ? row_stride(4 * n->hidden[0]) : 0);
    for (int l = 0; l < n->layers; l++) {
        b.actor.layer[l] = take(arena, steps + 1, row_stride(n->hidden[l]));
        b.actor.layer_bar[l] = take(arena, steps, gru ? 0 : row_stride(n->hidden[l]));
    }
    b.state = take(arena, steps + 1, QUADROTOR_STATES);
    b.error = take(arena, steps + 1, 6);
    b.setpoint = take(arena, steps, 4);
    b.slope = take(arena, steps, 4);
    b.alive = take(arena, steps, 1);
    b.action = take(arena, rows, 4);
    b.action_bar = take(arena, rows + 1, 4);
    b.env = take(arena, LEARNER_MEMORY, 1);
    b.kept = (struct quadrotor_kept *)(void *)take(arena, steps, sizeof(struct quadrotor_kept) / sizeof(real));
    return b;
}

static int parameter_count(const struct learner_network *n) {
    const int inputs = actor_inputs(n), h = n->hidden[0], top = n->hidden[n->layers - 1];
    int count = 4 * top + 4;
    if (n->kind == LEARNER_GRU) return count + 3 * h * (inputs + h + 2);
    for (int l = 0; l < n->layers; l++) count += n->hidden[l] * ((l ? n->hidden[l - 1] : inputs) + 1);
    return count;
}

/* Packed weights, rounded up so that the traces behind them stay aligned. */
static ptrdiff_t packed_floats(const struct learner_network *n) {
    return (PACKED_PER_PARAMETER * (ptrdiff_t)parameter_count(n) + LEARNER_GRANULE - 1) / LEARNER_GRANULE *
           LEARNER_GRANULE;
}

ptrdiff_t VARIANT(learner_scratch)(const struct learner_problem *p) {
    struct arena arena = {NULL, 0};
    lay_out(p, &arena);
    return packed_floats(&p->network) + arena.used * p->environments;
}

static struct block block_at(const struct learner_problem *p, int index) {
    struct arena arena = {NULL, 0};
    lay_out(p, &arena);
    arena.base = (real *)(void *)(p->scratch + packed_floats(&p->network)) + arena.used * index;
    arena.used = 0;
    return lay_out(p, &arena);
}

static real *column(const struct learner_problem *p, float *base, int row, int index) {
    return (real *)(void *)(base + (ptrdiff_t)row * p->environments + (ptrdiff_t)index * REAL_LANES);
}

static void copy_in(const struct learner_problem *p, int first, int rows, int index, real *out) {
    for (int i = 0; i < rows; i++) out[i] = *column(p, p->environment, first + i, index);
}

static void copy_out(const struct learner_problem *p, float *base, int first, int rows, int index, const real *in) {
    if (base == NULL) return;
    for (int i = 0; i < rows; i++) *column(p, base, first + i, index) = in[i];
}

/* ---- forward -------------------------------------------------------------------------------------------------------
 */

static void load_block(const struct learner_problem *p, int index, const struct block *b, real phase[6]) {
    const int recurrent = learner_recurrent_rows(&p->network), past = learner_past_actions(&p->network);
    copy_in(p, 0, LEARNER_MEMORY, index, b->env);
    if (recurrent) copy_in(p, LEARNER_MEMORY, recurrent, index, b->actor.layer[0]);
    copy_in(p, LEARNER_MEMORY + recurrent, 4 * past, index, b->action);
    for (int i = 0; i < QUADROTOR_STATES; i++) b->state[i] = b->env[LEARNER_STATE + i];
    for (int i = 0; i < 6; i++) phase[i] = b->env[LEARNER_COSINE + i];
    reference_error(b->env, phase, b->state, b->error);
}

/* End of the horizon back into the environments, and the traces that were asked for. */
static void store_block(const struct learner_problem *p, int index, const struct block *b, const real phase[6],
                        real alive) {
    const int recurrent = learner_recurrent_rows(&p->network), past = learner_past_actions(&p->network);
    const int steps = p->horizon;
    const real age = b->env[LEARNER_AGE] + (float)steps;
    const real reset_age = real_select(real_greater(alive, real_splat(0)), age, real_splat(LEARNER_FAILED_AGE));
    copy_out(p, p->environment, LEARNER_STATE, QUADROTOR_STATES, index, b->state + steps * QUADROTOR_STATES);
    copy_out(p, p->environment, LEARNER_COSINE, 6, index, phase);
    copy_out(p, p->environment, LEARNER_AGE, 1, index, &reset_age);
    if (recurrent)
        copy_out(p, p->environment, LEARNER_MEMORY, recurrent, index,
                 b->actor.layer[0] + steps * row_stride(recurrent));
    copy_out(p, p->environment, LEARNER_MEMORY + recurrent, 4 * past, index, b->action + 4 * steps);
    copy_out(p, p->state_trace, 0, (steps + 1) * QUADROTOR_STATES, index, b->state);
    copy_out(p, p->error_trace, 0, (steps + 1) * 6, index, b->error);
    copy_out(p, p->action_trace, 0, steps * 4, index, b->action + 4 * past);
    copy_out(p, p->alive_trace, 0, steps, index, b->alive);
}

/* Physics, reference and limits of step t; `alive` stays 1 or becomes 0. A lane that left the limits stands still. */
static void advance(const struct learner_problem *p, const struct block *b, const struct quadrotor_model *model, int t,
                    real phase[6], real *alive) {
    const real *state = b->state + t * QUADROTOR_STATES;
    real *next = b->state + (t + 1) * QUADROTOR_STATES, *error = b->error + (t + 1) * 6;
    quadrotor_step_keep(model, state, b->setpoint + 4 * t, p->effects, p->dt, b->kept + t, next);
    reference_advance(b->env, phase);
    reference_error(b->env, phase, next, error);
    const real_mask keep = is_inside(p, next, error) & real_greater(*alive, real_splat(0));
    if (real_any(~keep)) {
        for (int i = 0; i < QUADROTOR_STATES; i++) next[i] = real_select(keep, next[i], state[i]);
        for (int i = 0; i < 6; i++) error[i] = real_select(keep, error[i], error[i - 6]);
    }
    *alive = b->alive[t] = real_select(keep, real_splat(1), real_splat(0));
}

static void forward_block(struct learner_problem *p, const struct actor *actor, int index) {
    const struct block b = block_at(p, index);
    const int past = learner_past_actions(&p->network), history = p->network.history;
    const int stride = input_stride(&p->network);
    random_lanes *random = (random_lanes *)(void *)(p->random + (ptrdiff_t)index * REAL_LANES);
    real phase[6], alive = real_splat(1), cost = real_splat(0), distance = real_splat(0);
    load_block(p, index, &b, phase);
    const struct quadrotor_model model = quadrotor_model(b.env + LEARNER_PARAMETER, p->effects);
    for (int t = 0; t < p->horizon; t++) {
        real *action = b.action + 4 * (past + t), *input = b.actor.input + t * stride;
        const real *state = b.state + t * QUADROTOR_STATES;
        real sensed[LEARNER_OBSERVED];
        sense(p, state, b.error + t * 6, b.env[LEARNER_NOISE], random, sensed);
        observe(p, sensed, input);
        if (p->network.look_ahead) look_ahead(p, b.env, phase, sensed, input);
        actor_forward(actor, &b.actor, t, action - 4 * history, action);
        command(p, b.env, action, b.setpoint + 4 * t, b.slope + 4 * t);
        advance(p, &b, &model, t, phase, &alive);
        const real *error = b.error + (t + 1) * 6;
        const real step = alive * step_cost(p, b.state + (t + 1) * QUADROTOR_STATES, error, action);
        if (p->cost_trace) *column(p, p->cost_trace, t, index) = step;
        cost += step;
        distance += real_sqrt(dot(error, error));
    }
    store_block(p, index, &b, phase, alive);
    p->report.cost += sum_lanes(cost);
    p->report.position_error += sum_lanes(distance);
}

/* ---- reverse -------------------------------------------------------------------------------------------------------
 */

/* Through cost, physics and command of step t: l is the adjoint of the state, after the step on entry, before on
 * return. */
static void advance_reverse(const struct learner_problem *p, const struct block *b, const struct quadrotor_model *model,
                            int t, real weight, real *l) {
    const real *state = b->state + t * QUADROTOR_STATES;
    const int row = 4 * (learner_past_actions(&p->network) + t);
    const real_mask alive = real_greater(b->alive[t], real_splat(0));
    real setpoint_bar[4] = {{0}};
    if (real_any(~alive))
        for (int i = 0; i < QUADROTOR_STATES; i++) l[i] = real_select(alive, l[i], real_splat(0));
    step_cost_reverse(p, state + QUADROTOR_STATES, b->error + (t + 1) * 6, b->action + row, weight * b->alive[t], l,
                      b->action_bar + row);
    quadrotor_step_kept_reverse(model, b->kept + t, state, state + QUADROTOR_STATES, b->setpoint + 4 * t, p->effects,
                                p->dt, l, setpoint_bar);
    command_reverse(b->env, b->slope + 4 * t, setpoint_bar, b->action_bar + row);
}

/* Shortens an adjoint that grew beyond the limit, environment by environment: a flight that tumbles would otherwise
 * drown the others in the mean. `count`: environments times steps, which the adjoint is divided by. */
static void limit_adjoint(const struct learner_problem *p, float count, real *l) {
    real square = real_splat(1e-20f);
    for (int i = 0; i < QUADROTOR_ROTOR_SPEED; i++) square += l[i] * l[i];
    const float limit = p->adjoint_limit / count;
    if (!real_any(real_greater(square, real_splat(limit * limit)))) return;
    const real shrink = real_splat(limit) / real_sqrt(square), one = real_splat(1);
    const real factor = real_choose(one, shrink, shrink, one);
    for (int i = 0; i < QUADROTOR_STATES; i++) l[i] *= factor;
}

static void reverse_block(const struct learner_problem *p, const struct actor *actor, int index) {
    const struct block b = block_at(p, index);
    const struct quadrotor_model model = quadrotor_model(b.env + LEARNER_PARAMETER, p->effects);
    const int past = learner_past_actions(&p->network), steps = p->horizon, history = p->network.history;
    const int stride = input_stride(&p->network);
    real l[QUADROTOR_STATES], state_bar[LEARNER_HIDDEN_MAX], discount[LEARNER_HORIZON_MAX];
    for (int i = 0; i < 4 * (past + steps + 1); i++) b.action_bar[i] = real_splat(0);
    for (int i = 0; i < LEARNER_HIDDEN_MAX; i++) state_bar[i] = real_splat(0);
    for (int i = 0; i < QUADROTOR_STATES; i++)
        l[i] = p->terminal_adjoint ? *column(p, (float *)(uintptr_t)p->terminal_adjoint, i, index) : real_splat(0);
    discount[0] = real_splat(1.0f / (float)(steps * p->environments));
    for (int t = 1; t < steps; t++) discount[t] = discount[t - 1] * p->cost.discount;
    for (int t = steps - 1; t >= 0; t--) {
        const int row = 4 * (past + t);
        real input_bar[INPUT_MAX];
        for (int i = 0; i < padded(learner_observed(&p->network)); i++) input_bar[i] = real_splat(0);
        advance_reverse(p, &b, &model, t, discount[t], l);
        limit_adjoint(p, (float)(steps * p->environments), l);
        actor_reverse(actor, &b.actor, t, b.action + row, b.action_bar + row, state_bar, input_bar,
                      b.action_bar + row - 4 * history);
        observe_reverse(p, b.state + t * QUADROTOR_STATES, b.actor.input + t * stride, input_bar, l);
    }
    for (int first = 0; first < steps; first += SPAN) {
        const struct span span = {first, steps - first < SPAN ? steps - first : SPAN};
        actor_gradient(actor, &b.actor, b.action + 4 * (past - history), span, p->history_scale, p->gradient);
    }
}

/* ---- entry points --------------------------------------------------------------------------------------------------
 */

static struct actor prepare(const struct learner_problem *p) {
    struct actor actor;
    actor_pack(&actor, &p->network, p->parameter, p->history_scale, p->scratch);
    return actor;
}

static void begin_forward(struct learner_problem *p) {
    p->report.cost = p->report.position_error = 0;
    p->report.steps = p->environments * p->horizon;
}

static void begin_reverse(struct learner_problem *p) {
    const int count = parameter_count(&p->network);
    for (int i = 0; i < count; i++) p->gradient[i] = 0;
}

void VARIANT(learner_forward)(struct learner_problem *p) {
    const struct actor actor = prepare(p);
    begin_forward(p);
    for (int i = 0; i < p->environments / REAL_LANES; i++) forward_block(p, &actor, i);
}

void VARIANT(learner_reverse)(struct learner_problem *p) {
    const struct actor actor = prepare(p);
    begin_reverse(p);
    for (int i = 0; i < p->environments / REAL_LANES; i++) reverse_block(p, &actor, i);
}

void VARIANT(learner_sweep)(struct learner_problem *p) {
    const struct actor actor = prepare(p);
    begin_forward(p);
    begin_reverse(p);
    for (int i = 0; i < p->environments / REAL_LANES; i++) {
        forward_block(p, &actor, i);
        reverse_block(p, &actor, i);
    }
}

void VARIANT(learner_adam)(struct learner_problem *p, int32_t count) { adam_step(p, count); }
