#include "policy.h"

uint32_t hand_policy_self_test_result = 0;

uint32_t policy_self_test(void) { return hand_policy_self_test_result; }

void policy_step(const float input[POLICY_INPUT_SIZE], const float *state, float *state_next,
                 float output[POLICY_OUTPUT_SIZE]) {
    const float *newest = input + POLICY_OFFSET_ACTION_HISTORY + 3;
    output[0] = 10.0f * input[POLICY_OFFSET_GOAL];
    output[1] = newest[0];
    output[2] = 0.01f * state[0];
    if (input[POLICY_OFFSET_GOAL + 1] > 0.2f) output[0] = __builtin_nanf("");
    state_next[0] = state[0] + 1.0f;
    for (int i = 0; i < 3; i++) output[i] = output[i] > 1.0f ? 1.0f : output[i] < -1.0f ? -1.0f : output[i];
}
