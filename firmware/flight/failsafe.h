/* failsafe.h: what the platform should do while the policy does not fly. */
#ifndef FLEDGE_FAILSAFE_H
#define FLEDGE_FAILSAFE_H

#include "flight.h"

/* The most that can still be done with what is known now and with the reason why the policy is off. */
enum flight_failsafe failsafe(const struct flight_input *input, enum flight_guard reason);

#endif
