/* arm_observe.h: what was sensed -> the contract's observation. */
#ifndef FLEDGE_ARM_OBSERVE_H
#define FLEDGE_ARM_OBSERVE_H

#include "arm.h"
#include "pads.h"

/* Fills all but the past actions. */
void arm_observe(const struct servos *servos, const struct pads *pads, const struct arm_input *input,
                 const float target[ARM_JOINTS], const float tip_base[3], float observation[POLICY_INPUT_SIZE]);

#endif
