#include "arm_guard.h"

#include "finite.h"

static const float lower[ARM_JOINTS] = ARM_LOWER, upper[ARM_JOINTS] = ARM_UPPER;

void arm_watch_init(struct arm_watch *watch) {
    watch->started = watch->time_ms = watch->late_window = watch->late_ticks = watch->deadline_misses = 0;
    watch->low_ms = watch->gap = 0;
    for (int j = 0; j < ARM_JOINTS; j++)
        watch->overload_ms[j] = watch->hot_ms[j] = watch->high_ms[j] = watch->servo_ms[j] = 0;
}

/* A clock that stands still or runs backwards gives a huge unsigned gap. */
uint32_t arm_watch_clock(struct arm_watch *watch, uint32_t time_ms) {
    const uint32_t elapsed_ms = watch->started ? time_ms - watch->time_ms : 1u;
    const uint32_t late = elapsed_ms != 1u;
    watch->started = 1u;
    watch->time_ms = time_ms;
    watch->gap |= elapsed_ms > ARM_PERIOD_MAX_MS;
    watch->late_ticks += late - (watch->late_window >> (ARM_LATE_WINDOW - 1));
    watch->late_window = watch->late_window << 1 | late;
    watch->deadline_misses += late;
    return elapsed_ms;
}

_Static_assert(ARM_LATE_WINDOW == 32, "late_window drops its oldest bit by shifting");

/* Counts up by cycles while it lasts, stays at the limit, falls to 0 when it ends. */
static uint32_t lasting(uint32_t duration_ms, uint32_t present, uint32_t limit_ms) {
    if (!present) return 0;
    return duration_ms + SERVOS_CYCLE_MS < limit_ms ? duration_ms + SERVOS_CYCLE_MS : limit_ms;
}

static uint32_t is_low(const struct servos *servos, uint32_t j) {
    return servos->voltage[j] < ARM_VOLTAGE_LOW * ARM_SERVO_VOLTAGE;
}

static uint32_t is_hot(const struct servos *servos, uint32_t j) {
    return (servos->error[j] & BUS_ERROR_HEAT) || !(servos->temperature[j] <= ARM_HEAT_MAX);
}

static uint32_t is_high(const struct servos *servos, uint32_t j) {
    return !(servos->voltage[j] <= ARM_VOLTAGE_HIGH * ARM_SERVO_VOLTAGE);
}

static uint32_t complains(const struct servos *servos, uint32_t j) {
    return (servos->error[j] & (BUS_ERROR_ANGLE | BUS_ERROR_CURRENT)) != 0u;
}

void arm_watch_cycle(struct arm_watch *watch, const struct servos *servos, uint32_t torque) {
    uint32_t low = 0;
    for (uint32_t j = 0; j < ARM_JOINTS; j++) {
        const uint32_t strains = torque && magnitude(servos->load[j]) >= magnitude(ARM_LOAD_MAX);
        if (servos->age_ms[j] >= SERVOS_CYCLE_MS) continue; /* nothing new */
        watch->overload_ms[j] = lasting(watch->overload_ms[j], strains, ARM_OVERLOAD_MS);
        watch->hot_ms[j] = lasting(watch->hot_ms[j], is_hot(servos, j), ARM_WRONG_MS);
        watch->high_ms[j] = lasting(watch->high_ms[j], is_high(servos, j), ARM_WRONG_MS);
        watch->servo_ms[j] = lasting(watch->servo_ms[j], complains(servos, j), ARM_WRONG_MS);
        low |= is_low(servos, j);
    }
    watch->low_ms = lasting(watch->low_ms, low, ARM_LOW_MS);
}

/* What a servo's own state says, the weightiest last; OK: nothing. All is asked of every joint: compilers give early
   returns a loop with two entries, whose time export/fledge_export/wcet.py does not bound. */
static enum arm_guard about_joint(const struct arm_watch *watch, const struct servos *servos, uint32_t j,
                                  uint32_t torque) {
    const uint32_t wrong_ms = torque ? ARM_WRONG_MS : SERVOS_CYCLE_MS; /* before torque comes on, once is enough */
    const float low = lower[j] - ARM_LIMIT_MARGIN, high = upper[j] + ARM_LIMIT_MARGIN;
    enum arm_guard reason = ARM_GUARD_OK;
    reason = servos->position[j] >= low ? reason : ARM_GUARD_LIMIT;
    reason = servos->position[j] <= high ? reason : ARM_GUARD_LIMIT;
    reason = servos->jumped >> j & 1u ? ARM_GUARD_JUMP : reason;
    reason = torque && watch->overload_ms[j] >= ARM_OVERLOAD_MS ? ARM_GUARD_OVERLOAD : reason;
    reason = torque && (servos->error[j] & BUS_ERROR_OVERLOAD) ? ARM_GUARD_OVERLOAD : reason; /* until it gets torque */
    reason = torque && !(servos->torque >> j & 1u) ? ARM_GUARD_TORQUE : reason;
    reason = watch->servo_ms[j] >= wrong_ms ? ARM_GUARD_SERVO : reason;
    reason = is_low(servos, j) && watch->low_ms >= ARM_LOW_MS ? ARM_GUARD_LOW : reason;
    reason = watch->high_ms[j] >= wrong_ms ? ARM_GUARD_HIGH : reason;
    reason = watch->hot_ms[j] >= wrong_ms ? ARM_GUARD_HEAT : reason;
    return servos->age_ms[j] > ARM_SILENT_MAX_MS ? ARM_GUARD_BUS : reason;
}

static enum arm_guard about_start(const struct servos *servos) {
    if (servos->trouble == SERVOS_MISSING) return ARM_GUARD_MISSING;
    if (servos->trouble == SERVOS_MODEL) return ARM_GUARD_MODEL;
    if (servos->trouble == SERVOS_SETTINGS) return ARM_GUARD_SETTINGS;
    return servos->phase >= SERVOS_ASKING ? ARM_GUARD_OK : ARM_GUARD_STARTING;
}

enum arm_guard arm_guard_servos(const struct arm_watch *watch, const struct servos *servos, uint32_t torque,
                                uint32_t *culprit) {
    *culprit = servos->culprit;
    enum arm_guard first = about_start(servos);
    if (first != ARM_GUARD_OK) return first;
    for (uint32_t j = 0; j < ARM_JOINTS; j++) {
        const enum arm_guard reason = about_joint(watch, servos, j, torque);
        if (reason == ARM_GUARD_OK || (first != ARM_GUARD_OK && reason >= first)) continue;
        first = reason;
        *culprit = j;
    }
    return first;
}

static uint32_t is_apart(const float a[3], const float b[3]) {
    float squared = 0.0f;
    for (int i = 0; i < 3; i++) squared += (a[i] - b[i]) * (a[i] - b[i]);
    return !(squared <= POLICY_ENVELOPE_GOAL * POLICY_ENVELOPE_GOAL);
}

/* The first place from the tip, the second from the first. */
static uint32_t goal_is_far(const struct arm_input *input, const float tip_base[3]) {
    const uint32_t first = POLICY_GOAL_SIZE > 0 && is_apart(input->goal_base, tip_base);
    return first || (POLICY_GOAL_SIZE > 3 && is_apart(input->goal_base + 3, input->goal_base));
}

/* Joint + 1 of which a number is beyond the limit; 0: none. */
static uint32_t beyond(const float x[ARM_JOINTS], float limit) {
    uint32_t found = 0;
    for (uint32_t j = 0; j < ARM_JOINTS; j++) found = found || (x[j] >= -limit && x[j] <= limit) ? found : j + 1u;
    return found;
}

enum arm_guard arm_guard_policy(const struct arm_watch *watch, const struct servos *servos,
                                const struct arm_input *input, const float target[ARM_JOINTS], const float tip_base[3],
                                uint32_t *culprit) {
    float stretch[ARM_JOINTS];
    *culprit = 0;
    if (watch->gap || watch->late_ticks > ARM_LATE_MAX) return ARM_GUARD_CALL_PERIOD;
    if (!all_within(input->goal_base, POLICY_GOAL_SIZE, ARM_GOAL_MAX)) return ARM_GUARD_NOT_FINITE;
    if (POLICY_GOAL_SIZE > 0 && input->goal_age_ms > ARM_GOAL_AGE_MAX_MS) return ARM_GUARD_STALE;
    if (goal_is_far(input, tip_base)) return ARM_GUARD_GOAL;
    const uint32_t fast = beyond(servos->velocity, POLICY_ENVELOPE_JOINT_VELOCITY);
    if (fast) {
        *culprit = fast - 1u;
        return ARM_GUARD_VELOCITY;
    }
    for (int j = 0; j < ARM_JOINTS; j++) stretch[j] = target[j] - servos->position[j];
    const uint32_t far = beyond(stretch, POLICY_ENVELOPE_JOINT_LOAD);
    *culprit = far ? far - 1u : 0u;
    return far ? ARM_GUARD_STRETCH : ARM_GUARD_OK;
}

enum arm_guard arm_guard_pads(const struct pads *pads, uint32_t *culprit) {
    enum arm_guard first = ARM_GUARD_OK;
    *culprit = 0;
    if (pads->age_ms > ARM_SILENT_MAX_MS) return ARM_GUARD_PADS;
    for (uint32_t pad = 0; pad < TOUCH_PADS; pad++) {
        const uint32_t stuck = pads->same_ms[pad] >= ARM_PAD_STUCK_MS, full = pads->full_ms[pad] >= ARM_WRONG_MS;
        if (first != ARM_GUARD_OK || !(stuck || full)) continue;
        first = stuck ? ARM_GUARD_PAD_STUCK : ARM_GUARD_PAD_FULL;
        *culprit = pad;
    }
    return first;
}

enum arm_reaction arm_reaction(enum arm_guard guard) {
    switch (guard) {
    case ARM_GUARD_HEAT:
    case ARM_GUARD_HIGH:
        return ARM_RELAX;
    case ARM_GUARD_BUS:
    case ARM_GUARD_SERVO:
    case ARM_GUARD_TORQUE:
    case ARM_GUARD_PADS:
    case ARM_GUARD_PAD_STUCK:
    case ARM_GUARD_PAD_FULL:
        return ARM_HOLD_THEN_RELAX;
    case ARM_GUARD_OVERLOAD:
        return ARM_YIELD_THEN_RELAX;
    case ARM_GUARD_JUMP: /* an encoder that slipped drives its joint until the goal has followed it */
    case ARM_GUARD_LIMIT:
    case ARM_GUARD_VELOCITY:
    case ARM_GUARD_STRETCH:
        return ARM_YIELD;
    default:
        return ARM_HOLD;
    }
}
