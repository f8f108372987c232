#include "arm_policy.h"

void arm_policy_reset(struct arm_policy *policy) {
    for (int i = 0; i < ARM_POLICY_STATES; i++) policy->state[i] = 0.0f;
    for (int i = 0; i < POLICY_INPUT_SIZE; i++) policy->observation[i] = 0.0f;
    for (int i = 0; i < POLICY_OUTPUT_SIZE; i++) policy->action[i] = POLICY_ACTION_NEUTRAL;
#if POLICY_HISTORY_LENGTH > 0
    for (int i = 0; i < POLICY_HISTORY_LENGTH * POLICY_OUTPUT_SIZE; i++)
        policy->observation[POLICY_OFFSET_ACTION_HISTORY + i] = POLICY_ACTION_NEUTRAL;
#endif
}

void arm_policy_step(struct arm_policy *policy) {
    policy_step(policy->observation, policy->state, policy->state, policy->action);
#if POLICY_HISTORY_LENGTH > 0
    float *past = policy->observation + POLICY_OFFSET_ACTION_HISTORY;
    for (int i = 0; i < (POLICY_HISTORY_LENGTH - 1) * POLICY_OUTPUT_SIZE; i++) past[i] = past[i + POLICY_OUTPUT_SIZE];
    for (int i = 0; i < POLICY_OUTPUT_SIZE; i++)
        past[(POLICY_HISTORY_LENGTH - 1) * POLICY_OUTPUT_SIZE + i] = policy->action[i];
#endif
}
