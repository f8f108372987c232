#include "executor.h"

#include "act.h"

#define NEVER 0xffffffffu
#define PERIOD_US (1e6f / (float)POLICY_INFERENCE_RATE)
#define GAP_US 1000000u /* a longer one is no period: the clock was set, or there is none */

/* Four motors; copied as one. */
struct slot {
    float motor[4];
};

#if POLICY_HISTORY_LENGTH > 0
static struct slot *slots(struct executor *executor) {
    return (struct slot *)(executor->observation + POLICY_OFFSET_ACTION_HISTORY);
}

static float *newest(struct executor *executor) { return slots(executor)[POLICY_HISTORY_LENGTH - 1].motor; }

static void shift(struct executor *executor) {
    for (int i = 0; i < POLICY_HISTORY_LENGTH - 1; i++) slots(executor)[i] = slots(executor)[i + 1];
}
#else
static float *newest(struct executor *executor) { return executor->newest; }

static void shift(struct executor *executor) { (void)executor; }
#endif

static void reset_actions(struct executor *executor) {
    for (int i = 0; i < 4; i++) newest(executor)[i] = executor->action[i] = POLICY_ACTION_HOVER;
#if POLICY_HISTORY_LENGTH > 0
    for (int i = 0; i < 4 * POLICY_HISTORY_LENGTH; i++)
        executor->observation[POLICY_OFFSET_ACTION_HISTORY + i] = POLICY_ACTION_HOVER;
#endif
#if POLICY_HISTORY_REUSE
    policy_reuse_hover(&executor->reuse);
#endif
}

void executor_reset(struct executor *executor) {
    executor->inference_index = executor->native_index = NEVER;
    executor->native_steps = executor->native_lost = executor->window_actions = executor->time_us = 0;
    executor->native_ms = 0;
    executor->bias_us = executor->jitter_us = 0.0f;
    executor->start = EXECUTOR_FREE;
    for (int i = 0; i < 4; i++) executor->handover[i] = 0.0f;
    for (int i = 0; i < EXECUTOR_STATES; i++)
        executor->state[i] = executor->state_before[i] = executor->state_between[i] = 0.0f;
    for (int i = 0; i < POLICY_INPUT_SIZE; i++) executor->observation[i] = 0.0f;
    reset_actions(executor);
}

uint32_t executor_due(const struct executor *executor, uint32_t since_takeover_ms) {
    return since_takeover_ms / EXECUTOR_INFERENCE_PERIOD_MS != executor->inference_index;
}

/* e = period - nominal; bias += (e - bias)/n, jitter += (|e - bias| - jitter)/n */
static void measure_period(struct executor *executor, uint32_t time_us) {
    const uint32_t period_us = time_us - executor->time_us;
    executor->time_us = time_us;
    if (executor->inference_index == NEVER || period_us == 0u || period_us > GAP_US) return;
    const float share = 1.0f / (float)EXECUTOR_PERIODS, error = (float)period_us - PERIOD_US;
    executor->bias_us += (error - executor->bias_us) * share;
    const float away = error - executor->bias_us;
    executor->jitter_us += ((away < 0.0f ? -away : away) - executor->jitter_us) * share;
}

void executor_spin_up(struct executor *executor) { executor->start = EXECUTOR_SPINS_UP; }

void executor_hand_over(struct executor *executor, const float action[4]) {
    for (int i = 0; i < 4; i++) executor->handover[i] = action[i];
    executor->start = EXECUTOR_TAKES;
}

/* What is no number stays none, for the guard to see. */
static float at_most(float x, float most) { return x > most ? most : x; }

static void spin_up(struct executor *executor, uint32_t since_takeover_ms) {
    const float ceiling = act_ceiling(since_takeover_ms);
    for (int i = 0; i < 4; i++) executor->action[i] = at_most(executor->action[i], ceiling);
    if (ceiling >= 1.0f) executor->start = EXECUTOR_FREE;
}

static void take(struct executor *executor) {
    for (int i = 0; i < 4; i++) {
        executor->handover[i] -= executor->action[i];
        executor->action[i] += executor->handover[i];
    }
    executor->start = EXECUTOR_HANDS_OVER;
}

static void hand_over(struct executor *executor, uint32_t since_takeover_ms) {
    const float share = act_handover_share(since_takeover_ms);
    for (int i = 0; i < 4; i++) {
        const float sum = executor->action[i] + share * executor->handover[i];
        executor->action[i] = -at_most(-at_most(sum, 1.0f), 1.0f);
    }
    if (!(share > 0.0f)) executor->start = EXECUTOR_FREE;
}

static void begin(struct executor *executor, uint32_t since_takeover_ms) {
    if (executor->start == EXECUTOR_SPINS_UP)
        spin_up(executor, since_takeover_ms);
    else if (executor->start == EXECUTOR_TAKES)
        take(executor);
    else
        hand_over(executor, since_takeover_ms);
}

#if !POLICY_HISTORY_REUSE
static void infer_native(struct executor *executor, uint32_t since_takeover_ms) {
    executor->native_ms = since_takeover_ms;
    for (int i = 0; i < EXECUTOR_STATES; i++) executor->state_before[i] = executor->state[i];
    policy_step(executor->observation, executor->state, executor->state, executor->action);
}

/* before + share (after - before): the state of one native period ago. */
static void infer_between(struct executor *executor, uint32_t since_takeover_ms) {
    const float share = (float)(since_takeover_ms - executor->native_ms) / (float)EXECUTOR_NATIVE_PERIOD_MS;
    const float *before = executor->state_before, *after = executor->state;
    for (int i = 0; i < EXECUTOR_STATES; i++) executor->state_between[i] = before[i] + share * (after[i] - before[i]);
    policy_step(executor->observation, executor->state_between, executor->state_between, executor->action);
}
#endif

static void infer(struct executor *executor, uint32_t is_native, uint32_t since_takeover_ms) {
#if POLICY_HISTORY_REUSE
    policy_step_reuse(executor->observation, &executor->reuse, is_native, executor->action);
#else
    if (is_native)
        infer_native(executor, since_takeover_ms);
    else
        infer_between(executor, since_takeover_ms);
#endif
    if (executor->start != EXECUTOR_FREE) begin(executor, since_takeover_ms);
}

/* Whether a native step may be the next: where sums of past actions are built up ahead it waits for them, or it would
 * have to make up for inferences that were lost. */
static uint32_t is_prepared(const struct executor *executor) {
#if POLICY_HISTORY_REUSE
    return policy_reuse_is_ahead(&executor->reuse);
#else
    (void)executor;
    return 1u;
#endif
}

static void run_native(struct executor *executor, uint32_t since_takeover_ms) {
    infer(executor, 1u, since_takeover_ms);
    shift(executor);
    for (int i = 0; i < 4; i++) newest(executor)[i] = executor->action[i];
    executor->window_actions = 1;
    executor->native_steps++;
}

/* mean_k = mean_{k-1} + (a_k - mean_{k-1})/k */
static void run_intermediate(struct executor *executor, uint32_t since_takeover_ms) {
    infer(executor, 0u, since_takeover_ms);
    executor->window_actions++;
    const float share = 1.0f / (float)executor->window_actions;
    for (int i = 0; i < 4; i++) newest(executor)[i] += (executor->action[i] - newest(executor)[i]) * share;
}

void executor_run(struct executor *executor, const struct executor_call *call) {
    const uint32_t native_index = call->since_takeover_ms / EXECUTOR_NATIVE_PERIOD_MS;
    measure_period(executor, call->time_us);
    executor->inference_index = call->since_takeover_ms / EXECUTOR_INFERENCE_PERIOD_MS;
    if (native_index != executor->native_index && is_prepared(executor)) {
        if (executor->native_steps) executor->native_lost += native_index - executor->native_index - 1u;
        run_native(executor, call->since_takeover_ms);
        executor->native_index = native_index;
    } else {
        run_intermediate(executor, call->since_takeover_ms);
    }
}
