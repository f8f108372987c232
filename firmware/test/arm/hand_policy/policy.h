/* A policy of an arm whose answers can be computed by hand, behind the interface of firmware/policy/README.md. It
 * senses five joints and moves three of them, in another order: action = (goal x * 10, newest past action of the first
 * output, 0.01 state), within -1 to 1; the state counts steps; a goal y above 0.2 from the tip makes the action NaN. */
#ifndef HAND_POLICY_H
#define HAND_POLICY_H

#include <stdint.h>

#define POLICY_INPUT_SIZE 36
#define POLICY_STATE_SIZE 1
#define POLICY_HISTORY_LENGTH 2
#define POLICY_OUTPUT_SIZE 3
#define POLICY_HISTORY_REUSE 0
#define POLICY_NATIVE_RATE 50
#define POLICY_INFERENCE_RATE 50
#define POLICY_CONTRACT_HASH32 0xfeeda123u
#define POLICY_ROBOT "hand"
#define POLICY_OFFSET_JOINT_POSITION 0
#define POLICY_OFFSET_JOINT_VELOCITY 5
#define POLICY_OFFSET_JOINT_LOAD 10
#define POLICY_OFFSET_TIP 15
#define POLICY_OFFSET_GOAL 18
#define POLICY_OFFSET_TOUCH 24
#define POLICY_OFFSET_ACTION_HISTORY 30
#define POLICY_JOINTS_SENSED 5
#define POLICY_TOUCH_SIZE 6
#define POLICY_GOAL_SIZE 6
#define POLICY_JOINT_INDICES {0, 2, 1}
#define POLICY_TARGET_LOWER {-1.8f, -1.6f, -1.7f}
#define POLICY_TARGET_UPPER {1.8f, 1.6f, 1.7f}
#define POLICY_ACTION_STEP 0.08f
#define POLICY_ACTION_REACH 0.15f
#define POLICY_ACTION_NEUTRAL 0.0f
#define POLICY_ENVELOPE_GOAL 0.8f
#define POLICY_ENVELOPE_JOINT_VELOCITY 8.0f
#define POLICY_ENVELOPE_JOINT_LOAD 0.6f

extern uint32_t hand_policy_self_test_result;

void policy_step(const float input[POLICY_INPUT_SIZE], const float *state, float *state_next,
                 float output[POLICY_OUTPUT_SIZE]);
uint32_t policy_self_test(void);

#endif
