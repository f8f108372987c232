#include "arm_policy.h"
#include "../check.h"

/* The hand policy answers with what it was given: its newest past action, its state. */
int main(void) {
    struct arm_policy policy;
    arm_policy_reset(&policy);
    for (int i = 0; i < POLICY_INPUT_SIZE; i++) CHECK(policy.observation[i] == 0.0f);
    policy.observation[POLICY_OFFSET_GOAL] = 0.05f;
    arm_policy_step(&policy);
    CHECK_NEAR(policy.action[0], 0.5, 1e-6);
    CHECK(policy.action[1] == 0.0f && policy.action[2] == 0.0f);
    policy.observation[POLICY_OFFSET_GOAL] = 0.02f;
    arm_policy_step(&policy);
    CHECK_NEAR(policy.action[0], 0.2, 1e-6);
    CHECK_NEAR(policy.action[1], 0.5, 1e-6);
    CHECK_NEAR(policy.action[2], 0.01, 1e-6);
    const float *past = policy.observation + POLICY_OFFSET_ACTION_HISTORY; /* oldest first */
    CHECK_NEAR(past[0], 0.5, 1e-6);
    CHECK_NEAR(past[3], 0.2, 1e-6);
    CHECK_NEAR(past[4], 0.5, 1e-6);
    arm_policy_reset(&policy);
    CHECK(policy.state[0] == 0.0f && past[3] == 0.0f && policy.action[0] == 0.0f);
    return check_result();
}
