/* arm_guard.h: what speaks against moving the arm, and what is done about it. */
#ifndef FLEDGE_ARM_GUARD_H
#define FLEDGE_ARM_GUARD_H

#include "arm.h"
#include "pads.h"

enum {
    ARM_SILENT_MAX_MS = 50,    /* five cycles of the bus, or frames of the pads */
    ARM_GOAL_AGE_MAX_MS = 500, /* a goal stands still; whoever gives it says it again */
    ARM_PAD_STUCK_MS = 100,    /* ten frames without any noise */
    ARM_PERIOD_MAX_MS = 20,    /* one longer gap between ticks loses a policy's step */
    ARM_LATE_WINDOW = 32,
    ARM_LATE_MAX = 4, /* late ticks in the window that are forgiven */
    ARM_OVERLOAD_MS = 1000,
    ARM_LOW_MS = 200,
    ARM_WRONG_MS = 30, /* heat, high voltage, complaints, a full pad: a broken answer may say so once */
    ARM_HOLD_MS = 500  /* holding before letting go */
};

#define ARM_HEAT_MAX 60.0f /* [degrees C]; the servo itself gives up at 70 */
#define ARM_LOAD_MAX (0.9f * ARM_DUTY_PER_RADIAN * POLICY_ACTION_REACH) /* duty: it pushes as hard as it is let */
#define ARM_VOLTAGE_LOW 0.75f                                           /* of the nominal voltage */
#define ARM_VOLTAGE_HIGH 1.2f                                           /* of the nominal voltage */
#define ARM_LIMIT_MARGIN 0.1f /* [rad], beyond the mechanical limit: calibration and play */
#define ARM_GOAL_MAX 10.0f    /* [m]; further away is no place */

/* What is done when it appears while there is torque. */
enum arm_reaction {
    ARM_HOLD,            /* targets stay as they are */
    ARM_YIELD,           /* targets become where the joints are: no more strain */
    ARM_HOLD_THEN_RELAX, /* targets stay; if it lasts, torque off */
    ARM_YIELD_THEN_RELAX,
    ARM_RELAX /* torque off at once */
};

struct arm_watch {
    uint32_t started, time_ms, late_window, late_ticks, deadline_misses;
    uint32_t gap; /* between two ticks, or time ran backwards; until somebody clears it */
    uint32_t low_ms, overload_ms[ARM_JOINTS], hot_ms[ARM_JOINTS], high_ms[ARM_JOINTS], servo_ms[ARM_JOINTS];
};

void arm_watch_init(struct arm_watch *watch);

/* Milliseconds since the tick before; counts late ones. */
uint32_t arm_watch_clock(struct arm_watch *watch, uint32_t time_ms);

/* Once per cycle of the bus, after sensing: what lasts and what changed. */
void arm_watch_cycle(struct arm_watch *watch, const struct servos *servos, uint32_t torque);

/* First reason of the servos, ARM_GUARD_OK if there is none; *culprit is the joint. `torque`: there shall be torque. */
enum arm_guard arm_guard_servos(const struct arm_watch *watch, const struct servos *servos, uint32_t torque,
                                uint32_t *culprit);

/* First reason of the policy. */
enum arm_guard arm_guard_policy(const struct arm_watch *watch, const struct servos *servos,
                                const struct arm_input *input, const float target[ARM_JOINTS], const float tip_base[3],
                                uint32_t *culprit);

/* First reason of the pads; *culprit is the pad, fixed or moving. */
enum arm_guard arm_guard_pads(const struct pads *pads, uint32_t *culprit);

enum arm_reaction arm_reaction(enum arm_guard guard);

#endif
