#include "arm_act.h"
#include "arm_observe.h"
#include "arm_state.h"
#include "finite.h"
#include "kinematics.h"

#define POLICY_PERIOD_MS (1000 / POLICY_NATIVE_RATE)
_Static_assert(1000 % POLICY_NATIVE_RATE == 0 && POLICY_PERIOD_MS % SERVOS_CYCLE_MS == 0,
               "a policy's step is a whole number of cycles of the bus");
#define STILL 0.02f /* [rad]: a joint that moves more while torque is about to come on gets its goal anew */

void arm_init(struct arm *arm, const struct arm_calibration *calibration) {
    arm->mode = ARM_RELAXED;
    arm->engagement = ARM_LOOSE;
    arm->guard = ARM_GUARD_COMMAND;
    arm->latched = ARM_GUARD_OK;
    arm->culprit = arm->latched_for_ms = arm->due_ms = arm->inferences = 0;
    for (int j = 0; j < ARM_JOINTS; j++) arm->target[j] = 0.0f;
    for (int i = 0; i < 3; i++) arm->tip_base[i] = 0.0f;
    arm_watch_init(&arm->watch);
    servos_init(&arm->servos, calibration);
    servos_look(&arm->servos);
    pads_init(&arm->pads);
    arm_policy_reset(&arm->policy);
    arm->self_test_passed = policy_self_test() == 0u;
}

static void relax(struct arm *arm, enum arm_guard guard) {
    arm->mode = ARM_RELAXED;
    arm->engagement = ARM_LOOSE;
    arm->guard = guard;
}

static void stay_where_joints_are(struct arm *arm) {
    for (int j = 0; j < ARM_JOINTS; j++) arm->target[j] = arm->servos.position[j];
}

static void trip(struct arm *arm, enum arm_guard guard, uint32_t culprit) {
    const enum arm_reaction reaction = arm_reaction(guard);
    arm->guard = arm->latched = guard;
    arm->culprit = culprit;
    arm->latched_for_ms = 0;
    arm->mode = ARM_HOLDING;
    if (reaction == ARM_RELAX)
        relax(arm, guard);
    else if (reaction == ARM_YIELD || reaction == ARM_YIELD_THEN_RELAX)
        stay_where_joints_are(arm);
}

/* Holds on to what tripped; lets go of the arm if that does not end, and of the trip if it has ended and was heard. */
static void remain_tripped(struct arm *arm, enum arm_guard now, uint32_t command) {
    const enum arm_reaction reaction = arm_reaction((enum arm_guard)arm->latched);
    arm->guard = arm->latched;
    arm->latched_for_ms = now == arm->latched ? arm->latched_for_ms + SERVOS_CYCLE_MS : 0u;
    if (arm->latched_for_ms >= ARM_HOLD_MS && (reaction == ARM_HOLD_THEN_RELAX || reaction == ARM_YIELD_THEN_RELAX))
        relax(arm, (enum arm_guard)arm->latched);
    else if (now == ARM_GUARD_OK && command == ARM_COMMAND_HOLD)
        arm->latched = ARM_GUARD_OK;
}

static uint32_t are_still(const struct arm *arm) {
    for (int j = 0; j < ARM_JOINTS; j++) {
        const float away = arm->servos.position[j] - arm->target[j];
        if (arm->servos.age_ms[j] >= SERVOS_CYCLE_MS) return 0; /* who knows */
        if (!(away >= -STILL && away <= STILL)) return 0;
    }
    return 1;
}

/* Torque comes on in steps of a cycle: goals where the joints are; when all servos say that they have them, torque. */
static enum servos_wish engage(struct arm *arm, enum arm_guard now, uint32_t culprit) {
    arm->guard = now != ARM_GUARD_OK ? now : ARM_GUARD_STARTING;
    arm->culprit = culprit;
    if (now != ARM_GUARD_OK) {
        arm->engagement = ARM_LOOSE;
        return SERVOS_WISH_RELAX;
    }
    if (arm->engagement == ARM_PREPARED && arm->servos.prepared == BUS_ALL && are_still(arm)) {
        arm->engagement = ARM_ENGAGED;
        arm->mode = ARM_HOLDING;
        arm->guard = ARM_GUARD_COMMAND;
        return SERVOS_WISH_ENGAGE;
    }
    stay_where_joints_are(arm);
    arm->engagement = ARM_PREPARED;
    return SERVOS_WISH_PREPARE;
}

static void take_over(struct arm *arm) {
    arm_policy_reset(&arm->policy);
    arm->due_ms = 0;
    arm->mode = ARM_MOVING;
}

/* The policy's step, if it is due. */
static void move(struct arm *arm, const struct arm_input *input) {
    const uint32_t is_due = arm->due_ms == 0u;
    arm->due_ms = (is_due ? POLICY_PERIOD_MS : arm->due_ms) - SERVOS_CYCLE_MS;
    if (!is_due) return;
    arm_observe(&arm->servos, &arm->pads, input, arm->target, arm->tip_base, arm->policy.observation);
    arm_policy_step(&arm->policy);
    arm->inferences++;
    if (are_finite(arm->policy.action, POLICY_OUTPUT_SIZE))
        arm_act(arm->policy.action, arm->servos.position, arm->target);
    else
        trip(arm, ARM_GUARD_ACTION, 0);
}

static void hold_or_move(struct arm *arm, const struct arm_input *input) {
    uint32_t culprit = 0;
    if (input->command == ARM_COMMAND_HOLD) {
        arm->mode = ARM_HOLDING;
        arm->guard = ARM_GUARD_COMMAND;
        return;
    }
    enum arm_guard reason = ARM_GUARD_SELF_TEST;
    if (arm->self_test_passed)
        reason = arm_guard_policy(&arm->watch, &arm->servos, input, arm->target, arm->tip_base, &culprit);
    if (reason == ARM_GUARD_OK && POLICY_TOUCH_SIZE > 0) reason = arm_guard_pads(&arm->pads, &culprit);
    if (reason != ARM_GUARD_OK && arm->mode == ARM_MOVING) {
        trip(arm, reason, culprit);
    } else if (reason != ARM_GUARD_OK) {
        arm->guard = reason;
        arm->culprit = culprit;
    } else {
        if (arm->mode != ARM_MOVING) take_over(arm);
        arm->guard = ARM_GUARD_OK;
        move(arm, input);
    }
}

/* With torque on. */
static enum servos_wish control(struct arm *arm, const struct arm_input *input, enum arm_guard now, uint32_t culprit) {
    const uint32_t is_news = now != ARM_GUARD_OK && now != arm->latched;
    if (is_news && (arm->latched == ARM_GUARD_OK || arm_reaction(now) == ARM_RELAX)) trip(arm, now, culprit);
    if (arm->latched != ARM_GUARD_OK && arm->mode != ARM_RELAXED) remain_tripped(arm, now, input->command);
    if (arm->latched == ARM_GUARD_OK) hold_or_move(arm, input);
    return arm->engagement == ARM_LOOSE ? SERVOS_WISH_RELAX : SERVOS_WISH_FOLLOW;
}

static uint32_t is_about_pads(uint32_t guard) {
    return guard == ARM_GUARD_PADS || guard == ARM_GUARD_PAD_STUCK || guard == ARM_GUARD_PAD_FULL;
}

/* What is wrong now, whoever moves the arm; of the pads while the policy does, or until they are right again. */
static enum arm_guard what_is_wrong(const struct arm *arm, uint32_t torque, uint32_t *culprit) {
    const enum arm_guard of_servos = arm_guard_servos(&arm->watch, &arm->servos, torque, culprit);
    const uint32_t latched = is_about_pads(arm->latched);
    if (POLICY_TOUCH_SIZE == 0 || of_servos != ARM_GUARD_OK || !(latched || arm->mode == ARM_MOVING)) return of_servos;
    const enum arm_guard of_pads = arm_guard_pads(&arm->pads, culprit);
    return latched && of_pads != ARM_GUARD_OK ? (enum arm_guard)arm->latched : of_pads;
}

/* All has been sensed: what the servos shall do. */
static enum servos_wish decide(struct arm *arm, const struct arm_input *input) {
    const uint32_t torque = arm->engagement == ARM_ENGAGED;
    uint32_t culprit = 0;
    arm_watch_cycle(&arm->watch, &arm->servos, torque);
    const enum arm_guard now = what_is_wrong(arm, torque, &culprit);
    if (arm->mode == ARM_RELAXED) {
        arm->guard = arm->latched != ARM_GUARD_OK ? arm->latched : ARM_GUARD_COMMAND;
        return SERVOS_WISH_RELAX;
    }
    return arm->mode == ARM_STARTING ? engage(arm, now, culprit) : control(arm, input, now, culprit);
}

/* Commands that count in every tick. */
static void obey(struct arm *arm, uint32_t command) {
    const uint32_t relaxes = command != ARM_COMMAND_HOLD && command != ARM_COMMAND_MOVE;
    arm->servos.relaxing = relaxes || arm->mode == ARM_RELAXED;
    if (relaxes) {
        arm->latched = ARM_GUARD_OK;
        relax(arm, ARM_GUARD_COMMAND);
    } else if (arm->mode == ARM_RELAXED && arm->latched == ARM_GUARD_OK) {
        arm->mode = ARM_STARTING;
        servos_look(&arm->servos);
    } else if (command == ARM_COMMAND_HOLD && arm->mode == ARM_MOVING) {
        arm->mode = ARM_HOLDING;
        arm->guard = ARM_GUARD_COMMAND;
    }
}

/* Before the servos are ready there are no cycles. */
static void wait_for_servos(struct arm *arm) {
    uint32_t culprit = 0;
    if (arm->mode != ARM_STARTING) return;
    const enum arm_guard why = arm_guard_servos(&arm->watch, &arm->servos, 0, &culprit);
    arm->guard = why != ARM_GUARD_OK ? why : ARM_GUARD_STARTING;
    arm->culprit = culprit;
}

static void report_joints(const struct arm *arm, struct arm_output *output) {
    const struct servos *servos = &arm->servos;
    for (int j = 0; j < ARM_JOINTS; j++) {
        output->age_ms[j] = servos->age_ms[j];
        output->position[j] = servos->position[j];
        output->velocity[j] = servos->velocity[j];
        output->target[j] = arm->target[j];
        output->load[j] = servos->load[j];
        output->voltage[j] = servos->voltage[j];
        output->temperature[j] = servos->temperature[j];
    }
    for (int i = 0; i < POLICY_OUTPUT_SIZE; i++)
        output->action[i] = arm->mode == ARM_MOVING ? arm->policy.action[i] : 0.0f;
    for (int i = 0; i < 3; i++) output->tip_base[i] = arm->tip_base[i];
}

static void report(const struct arm *arm, struct arm_output *output) {
    output->mode = arm->mode;
    output->guard = arm->guard;
    output->guard_latched = arm->latched;
    output->culprit = arm->culprit;
    output->contract_hash = POLICY_CONTRACT_HASH32;
    output->self_test_passed = arm->self_test_passed;
    output->inferences = arm->inferences;
    output->deadline_misses = arm->watch.deadline_misses;
    output->cycles = arm->servos.cycles;
    output->retries = arm->servos.retries;
    output->wrong_checksums = arm->servos.bus.wrong_checksums;
    output->torque = arm->servos.torque;
    output->pads_age_ms = arm->pads.age_ms;
    output->pads_frames = arm->pads.frames;
    output->pads_wrong_checksums = arm->pads.wrong_checksums;
    report_joints(arm, output);
}

void arm_tick(struct arm *arm, const struct arm_input *input, struct uart *uart, struct arm_output *output) {
    const uint32_t elapsed_ms = arm_watch_clock(&arm->watch, input->time_ms);
    const uint32_t step_ms = elapsed_ms <= ARM_PERIOD_MAX_MS ? elapsed_ms : 1u; /* a broken clock moves nothing on */
    if (POLICY_TOUCH_SIZE > 0) pads_listen(&arm->pads, &uart->felt, step_ms);
    obey(arm, input->command);
    if (servos_tick(&arm->servos, uart, step_ms)) {
        kinematics_tip(arm->servos.position, arm->tip_base);
        servos_drive(&arm->servos, uart, decide(arm, input), arm->target);
        arm->watch.gap = 0;
    } else if (arm->servos.phase < SERVOS_ASKING) {
        wait_for_servos(arm);
    }
    report(arm, output);
}
