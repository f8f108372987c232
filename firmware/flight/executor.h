/* executor.h: runs a network trained at the native rate more often than that.
 *
 * Recurrent state and action history advance on native steps only. Calls in between see a temporary copy of the state,
 * and the newest slot of the history is the mean of the actions given since the last native step: what was really
 * commanded over that step.
 */
#ifndef FLEDGE_EXECUTOR_H
#define FLEDGE_EXECUTOR_H

#include <stdint.h>

#include "policy.h"

enum {
    EXECUTOR_NATIVE_PERIOD_MS = 1000 / POLICY_NATIVE_RATE,
    EXECUTOR_INFERENCE_PERIOD_MS = 1000 / POLICY_INFERENCE_RATE,
    EXECUTOR_STATES = POLICY_STATE_SIZE > 0 ? POLICY_STATE_SIZE : 1,
    EXECUTOR_HISTORY = POLICY_HISTORY_LENGTH > 0 ? 4 * POLICY_HISTORY_LENGTH : 4
};
_Static_assert(1000 % POLICY_NATIVE_RATE == 0, "a native step is a whole number of 1 ms ticks");
_Static_assert(1000 % POLICY_INFERENCE_RATE == 0, "an inference is a whole number of 1 ms ticks");
_Static_assert(POLICY_INFERENCE_RATE % POLICY_NATIVE_RATE == 0, "every native step is an inference");

struct executor {
    uint32_t inference_index; /* of the last inference, counted in inference periods since take-over */
    uint32_t native_index;    /* of the last native step, likewise */
    uint32_t native_steps;    /* since take-over */
    uint32_t window_actions;  /* inferences since the last native step, that one included */
    float state[EXECUTOR_STATES];
    float state_temporary[EXECUTOR_STATES];
    float history[EXECUTOR_HISTORY]; /* oldest first; at least the newest slot exists */
    float action[4];                 /* of the last inference */
#if POLICY_HISTORY_REUSE
    struct policy_reuse reuse; /* what the older past actions add to the first layer */
#endif
};

/* Take-over: state zero, every past action hover. */
void executor_reset(struct executor *executor);

/* 1 if an inference is due `since_takeover_ms` after executor_reset. */
uint32_t executor_due(const struct executor *executor, uint32_t since_takeover_ms);

/* One inference; completes `observation` with the action history. The result is in executor->action. */
void executor_run(struct executor *executor, uint32_t since_takeover_ms, float observation[POLICY_INPUT_SIZE]);

#endif
