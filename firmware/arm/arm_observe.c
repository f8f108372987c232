#include "arm_observe.h"

_Static_assert(POLICY_JOINTS_SENSED <= ARM_JOINTS, "the policy senses some of the joints");
_Static_assert(POLICY_TOUCH_SIZE <= TOUCH_SIZE, "the pads have so many cells");
_Static_assert(POLICY_GOAL_SIZE <= ARM_GOAL_SIZE, "the goal fits the input");

static const uint8_t sensed[POLICY_JOINTS_SENSED] = ARM_SENSED;

void arm_observe(const struct servos *servos, const struct pads *pads, const struct arm_input *input,
                 const float target[ARM_JOINTS], const float tip_base[3], float observation[POLICY_INPUT_SIZE]) {
    for (int i = 0; i < POLICY_JOINTS_SENSED; i++) {
        const uint32_t j = sensed[i];
#if POLICY_OFFSET_JOINT_POSITION >= 0
        observation[POLICY_OFFSET_JOINT_POSITION + i] = servos->position[j];
#endif
#if POLICY_OFFSET_JOINT_VELOCITY >= 0
        observation[POLICY_OFFSET_JOINT_VELOCITY + i] = servos->velocity[j];
#endif
#if POLICY_OFFSET_JOINT_LOAD >= 0
        observation[POLICY_OFFSET_JOINT_LOAD + i] = target[j] - servos->position[j];
#endif
    }
    for (int i = 0; i < 3; i++) {
#if POLICY_OFFSET_TIP >= 0
        observation[POLICY_OFFSET_TIP + i] = tip_base[i];
#endif
#if POLICY_OFFSET_GOAL >= 0
        observation[POLICY_OFFSET_GOAL + i] = input->goal_base[i] - tip_base[i];
#endif
#if POLICY_GOAL_SIZE > 3
        observation[POLICY_OFFSET_GOAL + 3 + i] = input->goal_base[3 + i] - input->goal_base[i];
#endif
    }
#if POLICY_OFFSET_TOUCH >= 0
    for (int i = 0; i < POLICY_TOUCH_SIZE; i++)
        observation[POLICY_OFFSET_TOUCH + i] = PADS_NEWTON * (float)pads->cells[i];
#endif
    (void)servos, (void)pads, (void)input, (void)target, (void)tip_base, (void)observation;
}
