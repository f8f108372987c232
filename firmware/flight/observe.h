/* observe.h: firmware units -> the contract's observation. */
#ifndef FLEDGE_OBSERVE_H
#define FLEDGE_OBSERVE_H

#include "flight.h"
#include "reference.h"
#include "rotation.h"

/* Heading of the vehicle now; held by the caller from take-over on. */
struct heading observe_heading(const struct flight_input *input);

/* Every term but the action history, in contract order and units, unscaled and unclipped (policy_step does both). */
void observe(const struct flight_input *input, const struct reference *reference, struct heading heading,
             float observation[POLICY_INPUT_SIZE]);

#endif
