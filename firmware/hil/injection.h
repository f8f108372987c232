/* injection.h: hardware in the loop. The flight code runs on the real microcontroller, what it senses comes from
 * elsewhere: from a client over the app channel (HIL_INJECTED), or from the plant on the chip itself (HIL_SIMULATED).
 *
 * Pure C, no clock of its own. The platform hands over packets as they come (injection_receive), asks once per
 * millisecond whether a tick is due (injection_tick), runs it, and reports back (injection_settle). It keeps the motors
 * off whatever the answer, and lets nobody arm. Only `receive` may be called from another task than the other two,
 * under the platform's lock.
 */
#ifndef FLEDGE_INJECTION_H
#define FLEDGE_INJECTION_H

#include "flight.h"
#include "packet.h"

enum hil_mode { HIL_OFF = 0, HIL_INJECTED = 1, HIL_SIMULATED = 2 };

enum { INJECTION_BUDGET_US = 500 }; /* of a tick, what the stabilizer leaves to the flight code */

struct injection {
    uint32_t mode;     /* enum hil_mode */
    uint32_t begun;    /* a HIL_BEGIN was answered since the mode was chosen */
    uint32_t starting; /* the next tick is the first: the policy is off in it, so that it takes over afresh */
    uint32_t announce; /* sequence number + 1 of the HIL_BEGIN that this tick will answer */
    uint32_t run;      /* sequence number + 1 of the HIL_BEGIN of this run; 0: it began with the mode */
    uint32_t time_ms;  /* clock of the flight code, runs on through all modes and restarts */
    uint32_t ticks;    /* since HIL_BEGIN */
    uint32_t late_ticks;
    uint32_t ticks_left;  /* lockstep: for which the state still holds */
    uint32_t unanswered;  /* a state waits for its answer */
    uint32_t exact;       /* it came in floats, and is answered in floats */
    uint32_t has_state;   /* since HIL_BEGIN */
    uint32_t sequence;    /* of the newest state */
    uint32_t aimed;       /* sequence number + 1 of the newest target since HIL_BEGIN; 0: none */
    uint32_t half;        /* sequence number + 1 of a first half that waits for its second */
    uint32_t held_ms;     /* since the state came */
    uint32_t received_us; /* when it did */
    uint32_t wait_us, inference_us, tick_us;
    struct hil_begin schedule;
    struct hil_state state, linear;
    struct hil_target target;
    uint32_t answer_length; /* of the last state; sent again if the client did not get it */
    uint8_t answer[HIL_PACKET_MAX];
    uint32_t ready_length; /* likewise of HIL_BEGIN */
    uint8_t ready[HIL_PACKET_MAX];
};

/* What came of a tick. */
struct injection_report {
    const struct flight_output *flight;
    const float *motor_fraction; /* [4], what the motors would have got */
    uint32_t inference_us;       /* of this tick, 0 if none was due */
    uint32_t tick_us;
};

void injection_init(struct injection *injection);

/* Whether a mode may be chosen now: HIL_OK, HIL_WRONG_VALUE or HIL_ARMED. */
enum hil_refusal injection_mode_refusal(uint32_t wanted, uint32_t armed);

/* Enters a mode; everything of the one before is forgotten, but not the flight code's clock. */
void injection_set_mode(struct injection *injection, enum hil_mode mode);

/* A packet of any bytes and length. Returns the length of what is to be answered at once, 0: nothing yet. */
uint32_t injection_receive(struct injection *injection, const uint8_t *packet, uint32_t length, uint32_t now_us,
                           uint8_t reply[HIL_PACKET_MAX]);

/* Once per millisecond. 1: run the flight code, on `input`, of which clock, set-point and ages are filled, and in
 * HIL_INJECTED the state too. `input->enable` is what the user wants; it is cleared in the first tick. 0: do nothing.
 */
uint32_t injection_tick(struct injection *injection, uint32_t now_us, struct flight_input *input);

/* After such a tick. Returns the length of what is to be answered, 0: nothing yet. */
uint32_t injection_settle(struct injection *injection, const struct injection_report *report,
                          uint8_t reply[HIL_PACKET_MAX]);

#endif
