#include "policy.h"

uint32_t hand_policy_self_test_result = 0;

uint32_t policy_self_test(void) { return hand_policy_self_test_result; }

void policy_step(const float input[POLICY_INPUT_SIZE], const float *state, float *state_next, float output[4]) {
    const float *oldest = input + POLICY_OFFSET_ACTION_HISTORY, *newest = oldest + 4;
    output[0] = input[POLICY_OFFSET_POSITION_ERROR];
    output[1] = 0.01f * state[0];
    output[2] = newest[0];
    output[3] = oldest[0];
    if (input[POLICY_OFFSET_VELOCITY_ERROR + 1] > 3.0f) output[0] = __builtin_nanf("");
    state_next[0] = state[0] + 1.0f;
    for (int i = 0; i < 4; i++) output[i] = output[i] > 1.0f ? 1.0f : output[i] < -1.0f ? -1.0f : output[i];
}
