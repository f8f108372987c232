/* guard.h: may the policy fly? Each function answers with the first reason against it. */
#ifndef FLEDGE_GUARD_H
#define FLEDGE_GUARD_H

#include "flight.h"
#include "reference.h"

enum {
    GUARD_STATE_AGE_MAX_MS = 50,     /* five updates of the 100 Hz estimator */
    GUARD_SETPOINT_AGE_MAX_MS = 500, /* where the firmware's supervisor starts to level out */
    GUARD_PERIOD_MAX_MS = 10,        /* one longer gap is a trip: the network's clock would lose a step */
    GUARD_LATE_MAX = 5,              /* so many late ticks ... */
    GUARD_LATE_WINDOW = 32,          /* ... among the last so many are a trip */
    GUARD_BATTERY_MS = 1000,         /* a sag during a manoeuvre is shorter */
    GUARD_SATURATION_MS = 1000       /* so long at a limit is no manoeuvre: a motor is weak, or the load too heavy */
};
#define GUARD_POSITION_VARIANCE_MAX 0.04f /* [m^2]: 0.2 m of standard deviation */

struct guard {
    uint32_t started;         /* time_ms is valid */
    uint32_t time_ms;         /* of the tick before */
    uint32_t late_window;     /* one bit per tick, the newest lowest: 1 = late */
    uint32_t late_ticks;      /* ones in late_window */
    uint32_t deadline_misses; /* since boot */
    uint32_t battery_low_ms;  /* without interruption */
    uint32_t saturated_ms[4]; /* without interruption at the same limit, per motor */
    uint32_t tripped;         /* the policy was taken off; holds until enable is 0 */
    uint32_t latched;         /* enum flight_guard of that trip, kept until the next take-over */
};

/* Boot: no time known, nothing latched. */
void guard_init(struct guard *guard);

/* Follows what has to last before it counts: a low battery, motors at a limit (0 while the policy is off). */
void guard_watch(struct guard *guard, const struct flight_input *input, const float action[4], uint32_t flying,
                 uint32_t elapsed_ms);

/* Milliseconds since the tick before (1 on the first); counts late ticks. */
uint32_t guard_clock(struct guard *guard, uint32_t time_ms);

/* Is the input usable at all? FLIGHT_GUARD_DISABLED to FLIGHT_GUARD_QUATERNION. */
enum flight_guard guard_input(const struct flight_input *input, uint32_t self_test_passed);

/* Is it inside what the policy was trained for, fresh and on time? Needs guard_input's consent. */
enum flight_guard guard_envelope(const struct guard *guard, const struct flight_input *input,
                                 const struct reference *reference, uint32_t elapsed_ms);

/* 1 if the commander gives a position or a velocity. */
static inline uint32_t guard_followable(const struct flight_input *input) {
    return input->setpoint_mode == FLIGHT_SETPOINT_POSITION || input->setpoint_mode == FLIGHT_SETPOINT_VELOCITY;
}

/* Latches a trip if the policy was flying, releases it when disabled; returns why the policy does not fly. */
enum flight_guard guard_settle(struct guard *guard, enum flight_guard reason, uint32_t was_flying);

#endif
