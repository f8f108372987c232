/* turn.h: angles as 32-bit fractions of a full turn: they wrap by themselves, and reduce without rounding. */
#ifndef FLEDGE_TURN_H
#define FLEDGE_TURN_H

#include <stdint.h>

#define TURN_HALF 0x80000000u
#define TURN_RADIANS 6.2831853071795865f /* one turn */

struct sine_cosine {
    float sine;
    float cosine;
};

/* Error below 2e-7 for every angle; the same bits on every machine. */
struct sine_cosine turn_sine_cosine(uint32_t turn);

/* |degrees| is limited to 100 turns; resolution 2^-24 turn. */
uint32_t turn_from_deg(float degrees);

#endif
