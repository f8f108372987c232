/* arm_act.h: action -> joint targets. */
#ifndef FLEDGE_ARM_ACT_H
#define FLEDGE_ARM_ACT_H

#include "arm_table.h"
#include "policy.h"

/* target += step * action, within reach of the sensed joint, within the contract's bounds; then no further from the old
 * target than the servo goes in a policy step, so that no jump of a sense becomes one of a target. Targets of joints
 * that the policy does not move stay. An action that is no number moves nothing. */
void arm_act(const float action[POLICY_OUTPUT_SIZE], const float position[ARM_JOINTS], float target[ARM_JOINTS]);

#endif
