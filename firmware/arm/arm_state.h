/* arm_state.h: everything the arm's code remembers; the caller owns it and never looks inside. */
#ifndef FLEDGE_ARM_STATE_H
#define FLEDGE_ARM_STATE_H

#include "arm.h"
#include "arm_guard.h"
#include "arm_policy.h"
#include "pads.h"
#include "servos.h"

/* How far torque has come on. */
enum arm_engagement { ARM_LOOSE = 0, ARM_PREPARED, ARM_ENGAGED };

struct arm {
    uint32_t self_test_passed;
    uint32_t mode;       /* enum arm_mode */
    uint32_t engagement; /* enum arm_engagement */
    uint32_t guard, latched, culprit;
    uint32_t latched_for_ms; /* since what is latched appeared */
    uint32_t due_ms;         /* until the policy's next step */
    uint32_t inferences;
    float target[ARM_JOINTS];
    float tip_base[3];
    struct arm_watch watch;
    struct servos servos;
    struct pads pads;
    struct arm_policy policy;
};

#endif
