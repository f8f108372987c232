/* A policy whose answers can be computed by hand, behind the interface of firmware/policy/README.md:
 *   action = (position error x, 0.01 state, newest past action, oldest past action), all of motor 1, within -1 to 1;
 *   the state counts native steps; a velocity error y above 3 makes the action NaN. */
#ifndef HAND_POLICY_H
#define HAND_POLICY_H

#include <stdint.h>

#define POLICY_INPUT_SIZE 38
#define POLICY_STATE_SIZE 1
#define POLICY_HISTORY_LENGTH 2
#define POLICY_OUTPUT_SIZE 4
#define POLICY_HISTORY_REUSE 0
#define POLICY_NATIVE_RATE 100
#define POLICY_INFERENCE_RATE 500
#define POLICY_CONTRACT_HASH32 0xfeedf00du
#define POLICY_ROBOT "hand"
#define POLICY_OFFSET_POSITION_ERROR 0
#define POLICY_OFFSET_ROTATION 3
#define POLICY_OFFSET_VELOCITY_ERROR 12
#define POLICY_OFFSET_ANGULAR_VELOCITY 15
#define POLICY_OFFSET_LOOK_AHEAD 18
#define POLICY_OFFSET_ACTION_HISTORY 30
#define POLICY_LOOK_AHEAD_COUNT 2
#define POLICY_LOOK_AHEAD_SPACING 0.05f
#define POLICY_ACTION_LOW 0.125f
#define POLICY_ACTION_HIGH 0.875f
#define POLICY_ACTION_HOVER 0.25f
#define POLICY_ACTION_KIND 1
#define POLICY_ENVELOPE_POSITION_ERROR 1.5f
#define POLICY_ENVELOPE_VELOCITY 4.0f
#define POLICY_ENVELOPE_ANGULAR_VELOCITY 30.0f

extern uint32_t hand_policy_self_test_result;

void policy_step(const float input[POLICY_INPUT_SIZE], const float *state, float *state_next, float output[4]);
uint32_t policy_self_test(void);

#endif
