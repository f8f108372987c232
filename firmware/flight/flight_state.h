/* flight_state.h: everything the flight code remembers; the caller owns it and never looks inside. */
#ifndef FLEDGE_FLIGHT_STATE_H
#define FLEDGE_FLIGHT_STATE_H

#include "executor.h"
#include "flight.h"
#include "guard.h"
#include "reference.h"
#include "rotation.h"

struct flight {
    uint32_t self_test_passed;
    uint32_t mode;        /* enum flight_mode of the tick before */
    uint32_t takeover_ms; /* time of the last take-over */
    uint32_t inferences;  /* since boot */
    uint32_t used;        /* the executor has run since it was cleared */
    uint32_t sent_known;  /* flight_sent was called since the last tick */
    float sent[4];        /* motor fraction */
    struct heading heading;
    struct guard guard;
    struct reference reference;
    struct executor executor;
};

#endif
