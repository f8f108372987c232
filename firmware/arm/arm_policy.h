/* arm_policy.h: the network from step to step: its recurrent state, and its past actions. */
#ifndef FLEDGE_ARM_POLICY_H
#define FLEDGE_ARM_POLICY_H

#include "policy.h"

enum { ARM_POLICY_STATES = POLICY_STATE_SIZE > 0 ? POLICY_STATE_SIZE : 1 };

struct arm_policy {
    float state[ARM_POLICY_STATES];
    float observation[POLICY_INPUT_SIZE]; /* past actions included, oldest first */
    float action[POLICY_OUTPUT_SIZE];
};

/* Before the first step: state zero, past actions neutral. */
void arm_policy_reset(struct arm_policy *policy);

/* One step on policy->observation, of which the caller fills all but the past actions. */
void arm_policy_step(struct arm_policy *policy);

#endif
