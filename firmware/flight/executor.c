#include "executor.h"

#define NEVER 0xffffffffu

static float *newest(struct executor *executor) { return executor->history + EXECUTOR_HISTORY - 4; }

void executor_reset(struct executor *executor) {
    executor->inference_index = executor->native_index = NEVER;
    executor->native_steps = executor->window_actions = 0;
    for (int i = 0; i < EXECUTOR_STATES; i++) executor->state[i] = executor->state_temporary[i] = 0.0f;
    for (int i = 0; i < EXECUTOR_HISTORY; i++) executor->history[i] = POLICY_ACTION_HOVER;
    for (int i = 0; i < 4; i++) executor->action[i] = POLICY_ACTION_HOVER;
#if POLICY_HISTORY_REUSE
    policy_reuse_reset(&executor->reuse);
#endif
}

uint32_t executor_due(const struct executor *executor, uint32_t since_takeover_ms) {
    return since_takeover_ms / EXECUTOR_INFERENCE_PERIOD_MS != executor->inference_index;
}

static void append_history(const struct executor *executor, float observation[POLICY_INPUT_SIZE]) {
#if POLICY_OFFSET_ACTION_HISTORY >= 0
    for (int i = 0; i < EXECUTOR_HISTORY; i++) observation[POLICY_OFFSET_ACTION_HISTORY + i] = executor->history[i];
#else
    (void)executor, (void)observation;
#endif
}

static void infer(struct executor *executor, const float observation[POLICY_INPUT_SIZE], uint32_t is_native) {
#if POLICY_HISTORY_REUSE
    policy_step_reuse(observation, &executor->reuse, is_native, executor->action);
#else
    policy_step(observation, executor->state, is_native ? executor->state : executor->state_temporary,
                executor->action);
#endif
}

static void run_native(struct executor *executor, const float observation[POLICY_INPUT_SIZE]) {
    infer(executor, observation, 1u);
    for (int i = 0; i < EXECUTOR_HISTORY - 4; i++) executor->history[i] = executor->history[i + 4];
    for (int i = 0; i < 4; i++) newest(executor)[i] = executor->action[i];
    executor->window_actions = 1;
    executor->native_steps++;
}

/* mean_k = mean_{k-1} + (a_k - mean_{k-1})/k */
static void run_intermediate(struct executor *executor, const float observation[POLICY_INPUT_SIZE]) {
    infer(executor, observation, 0u);
    executor->window_actions++;
    const float share = 1.0f / (float)executor->window_actions;
    for (int i = 0; i < 4; i++) newest(executor)[i] += (executor->action[i] - newest(executor)[i]) * share;
}

void executor_run(struct executor *executor, uint32_t since_takeover_ms, float observation[POLICY_INPUT_SIZE]) {
    const uint32_t native_index = since_takeover_ms / EXECUTOR_NATIVE_PERIOD_MS;
    executor->inference_index = since_takeover_ms / EXECUTOR_INFERENCE_PERIOD_MS;
    append_history(executor, observation);
    if (native_index != executor->native_index)
        run_native(executor, observation);
    else
        run_intermediate(executor, observation);
    executor->native_index = native_index;
}
