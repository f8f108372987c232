#include "arm_act.h"

#include "finite.h"

#define SLEW (ARM_SERVO_SPEED / (float)POLICY_NATIVE_RATE) /* [rad] per policy step */
_Static_assert(POLICY_OUTPUT_SIZE <= ARM_JOINTS, "the policy moves some of the joints");

static const uint8_t sensed[POLICY_JOINTS_SENSED] = ARM_SENSED, moved[POLICY_OUTPUT_SIZE] = POLICY_JOINT_INDICES;
static const float lower[POLICY_OUTPUT_SIZE] = POLICY_TARGET_LOWER, upper[POLICY_OUTPUT_SIZE] = POLICY_TARGET_UPPER;

void arm_act(const float action[POLICY_OUTPUT_SIZE], const float position[ARM_JOINTS], float target[ARM_JOINTS]) {
    for (int i = 0; i < POLICY_OUTPUT_SIZE; i++) {
        const uint32_t j = sensed[moved[i]];
        const float old = target[j], here = position[j];
        const float step = is_finite(action[i]) ? POLICY_ACTION_STEP * clip(action[i], -1.0f, 1.0f) : 0.0f;
        const float reached = clip(old + step, here - POLICY_ACTION_REACH, here + POLICY_ACTION_REACH);
        target[j] = clip(clip(reached, lower[i], upper[i]), old - SLEW, old + SLEW);
    }
}
