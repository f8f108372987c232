/* arm.h: moves an arm of bus servos with the exported policy, on any platform. Pure C11: no allocation, no clock.
 *
 * The platform calls arm_tick every 1 ms with what it knows, and carries bytes between `struct uart` and a half-duplex
 * line of 1 Mbit/s, 8N1, and from the board of the finger pads (pads.h) where there is one. Positions are radians in
 * the order of the servos' numbers, base axes x forward, z up.
 *
 * The arm never jumps: whenever torque comes on, goals are where the joints are, and a target moves no faster than the
 * servo can. What is wrong is answered by holding still, or, where that would do harm, by letting go.
 *
 * Layout: 4-byte fields only, mirrored by hil/fledge_hil/arm/messages.py and checked there against arm_layout.c.
 */
#ifndef FLEDGE_ARM_H
#define FLEDGE_ARM_H

#include <stdint.h>

#include "arm_table.h" /* generated from the robot's file */
#include "policy.h"    /* emitted with the weights */
#include "servos.h"
#include "uart.h"

enum { ARM_JOINTS_MAX = 8, ARM_GOAL_SIZE = 6 };
_Static_assert(ARM_JOINTS <= ARM_JOINTS_MAX && ARM_CHAIN <= ARM_JOINTS, "joints fit the messages");

enum arm_command {
    ARM_COMMAND_RELAX = 0, /* no torque; also forgets what went wrong */
    ARM_COMMAND_HOLD = 1,  /* torque, targets stay; forgets what went wrong while it is not wrong any more */
    ARM_COMMAND_MOVE = 2   /* the policy moves the arm */
};

enum arm_mode {
    ARM_RELAXED = 0,
    ARM_STARTING = 1, /* the servos are looked for and set up; no torque */
    ARM_HOLDING = 2,  /* targets stay */
    ARM_MOVING = 3    /* the policy moves them */
};

/* Why the policy does not move the arm, the first that applies. What is done: arm_guard.c. */
enum arm_guard {
    ARM_GUARD_OK = 0,
    ARM_GUARD_COMMAND = 1, /* it was not asked to */
    /* of the servos: wrong whoever moves them */
    ARM_GUARD_STARTING = 2,  /* not all have been found and set up yet */
    ARM_GUARD_MISSING = 3,   /* one was not found */
    ARM_GUARD_MODEL = 4,     /* one is of another make or number */
    ARM_GUARD_SETTINGS = 5,  /* one does not take its settings */
    ARM_GUARD_BUS = 6,       /* one has been silent for too long */
    ARM_GUARD_HEAT = 7,      /* one is too hot */
    ARM_GUARD_HIGH = 8,      /* voltage */
    ARM_GUARD_LOW = 9,       /* voltage, for a while */
    ARM_GUARD_SERVO = 10,    /* one complains about its encoder or its current */
    ARM_GUARD_TORQUE = 11,   /* one has lost its torque by itself */
    ARM_GUARD_OVERLOAD = 12, /* one strains too much, for a while, or says so */
    ARM_GUARD_JUMP = 13,     /* a joint is where it cannot have come to */
    ARM_GUARD_LIMIT = 14,    /* a joint is beyond its limits */
    /* of the policy: wrong for it alone */
    ARM_GUARD_SELF_TEST = 15,   /* weights or golden vectors are wrong: refused until reboot */
    ARM_GUARD_CALL_PERIOD = 16, /* ticks were skipped or time ran backwards */
    ARM_GUARD_NOT_FINITE = 17,  /* NaN or infinity in the goal */
    ARM_GUARD_STALE = 18,       /* goal too old */
    ARM_GUARD_GOAL = 19,        /* envelope of the contract left: goal, */
    ARM_GUARD_VELOCITY = 20,    /* joint velocity, */
    ARM_GUARD_STRETCH = 21,     /* target minus joint */
    ARM_GUARD_ACTION = 22,      /* the network answered something not finite */
    /* of the finger pads, for a policy that feels; wrong while it moves the arm, and until it is right again */
    ARM_GUARD_PADS = 23,      /* nothing good has come from their board for too long */
    ARM_GUARD_PAD_STUCK = 24, /* one says the same numbers again and again */
    ARM_GUARD_PAD_FULL = 25   /* one is at the end of its range, or has no readings */
};

struct arm_input {
    uint32_t time_ms;
    uint32_t command;               /* enum arm_command; any other number is 0 */
    uint32_t goal_age_ms;           /* since it was said last */
    float goal_base[ARM_GOAL_SIZE]; /* [m]; of a task of two places, such as where a block is and where it shall go,
                                       both */
};

struct arm_output {
    uint32_t mode;          /* enum arm_mode */
    uint32_t guard;         /* enum arm_guard: 0 while the policy moves the arm, else why not */
    uint32_t guard_latched; /* what stopped it last, until it is released by the command */
    uint32_t culprit;       /* joint, or pad, that `guard` or `guard_latched` is about */
    uint32_t contract_hash; /* POLICY_CONTRACT_HASH32 */
    uint32_t self_test_passed;
    uint32_t inferences;      /* since boot */
    uint32_t deadline_misses; /* ticks that came later than 1 ms after the one before */
    uint32_t cycles;          /* of the bus, since boot */
    uint32_t retries;         /* cycles in which somebody had to be asked twice */
    uint32_t wrong_checksums;
    uint32_t torque;      /* a bit per joint */
    uint32_t pads_age_ms; /* since the pads were heard last */
    uint32_t pads_frames; /* heard since boot */
    uint32_t pads_wrong_checksums;
    uint32_t age_ms[ARM_JOINTS_MAX];   /* of what was sensed */
    float position[ARM_JOINTS_MAX];    /* [rad] */
    float velocity[ARM_JOINTS_MAX];    /* [rad/s] */
    float target[ARM_JOINTS_MAX];      /* [rad] */
    float load[ARM_JOINTS_MAX];        /* duty, -1 to 1 */
    float voltage[ARM_JOINTS_MAX];     /* [V] */
    float temperature[ARM_JOINTS_MAX]; /* [degrees C] */
    float action[ARM_JOINTS_MAX];      /* [-1, 1], in the policy's order; 0 while it is off */
    float tip_base[3];                 /* [m] */
};

_Static_assert(sizeof(struct arm_input) == 4 * 9, "arm_input layout is shared with Python");
_Static_assert(sizeof(struct arm_output) == 4 * 82, "arm_output layout is shared with Python");

struct arm; /* defined in arm_state.h; the caller owns it */

/* Runs the self-test and clears the state; the arm's torque is left as it is until the first tick. */
void arm_init(struct arm *arm, const struct arm_calibration *calibration);

/* One platform tick. */
void arm_tick(struct arm *arm, const struct arm_input *input, struct uart *uart, struct arm_output *output);

#endif
