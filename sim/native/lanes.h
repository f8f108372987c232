/* lanes.h: integers, masks and elementary functions for blocks of REAL_LANES environments, beside real.h. */
#ifndef FLEDGE_LANES_H
#define FLEDGE_LANES_H

#include <string.h>

#include "real.h"

typedef uint32_t real_bits __attribute__((vector_size(4 * REAL_LANES)));
typedef int8_t real_bytes __attribute__((vector_size(REAL_LANES)));

static inline real_bits bits_splat(uint32_t value) { return value - (real_bits){0}; }
static inline real_mask mask_splat(int set) { return (real_mask){0} - (set ? 1 : 0); }
static inline real real_from_bits(real_bits small) { return __builtin_convertvector((real_mask)small, real); }
static inline real_bits bits_from_real(real x) { return (real_bits) __builtin_convertvector(x, real_mask); }
static inline real real_abs(real x) { return (real)((real_mask)x & 0x7fffffff); }

/* condition ? yes : no, bit by bit, whatever the lanes hold. */
static inline real_bits bits_select(real_mask condition, real_bits yes, real_bits no) {
    return ((real_bits)condition & yes) | (~(real_bits)condition & no);
}

/* 1 where set. */
static inline void mask_store_bytes(real_mask mask, uint8_t *target) {
    const real_bytes bytes = __builtin_convertvector(mask & 1, real_bytes);
    memcpy(target, &bytes, sizeof bytes);
}

static inline void real_store(float *target, real value) { memcpy(target, &value, sizeof value); }
static inline real real_load(const float *source) {
    real value;
    memcpy(&value, source, sizeof value);
    return value;
}

/* Nearest whole number, |x| < 2^22. */
static inline real real_round(real x) {
    const real_scalar shift = 12582912; /* 1.5 * 2^23: no fraction fits beside it */
    return (x + shift) - shift;
}

/* Largest whole number <= x, |x| < 2^31. */
static inline real real_floor(real x) {
    const real whole = __builtin_convertvector(__builtin_convertvector(x, real_mask), real);
    return real_select(real_greater(whole, x), whole - 1, whole);
}

/* sin(2 pi turn / 2^32): the angle is a fraction of a turn, so that it wraps by itself. Folded to |x| <= 1/4, then a
 * polynomial with relative error 2e-7. */
static inline real sine_of_turn(real_bits turn) {
    const real_mask quarter = (real_mask)(turn + 0x40000000u) >> 31; /* set beyond +-1/4 */
    const real_mask folded = (real_mask)bits_select(quarter, 0x80000000u - turn, turn);
    const real x = __builtin_convertvector(folded, real) * 0x1p-32f, s = x * x;
    return x * (6.28318528f + s * (-41.34168067f + s * (81.60248074f + s * (-76.58128456f + s * 39.76072208f))));
}
static inline real cosine_of_turn(real_bits turn) { return sine_of_turn(turn + 0x40000000u); }

/* Fraction of a turn, |x| < 1/2, as sine_of_turn takes it. */
static inline real_bits turn_from_real(real x) { return bits_from_real(x * 0x1p31f) << 1; }

/* exp(x) for |x| <= 80, beyond which it stays. */
static inline real real_exp(real x) {
    const real y = real_clip(x, real_splat(-80.0f), real_splat(80.0f)) * 1.44269504f, whole = real_round(y),
               f = y - whole;
    const real part =
        1 +
        f * (0.693147207f + f * (0.240226512f + f * (0.0555032721f +
                                                     f * (0.0096180256f + f * (0.00134004322f + f * 0.00015469732f)))));
    const real_bits exponent = (bits_from_real(whole) + 127u) << 23;
    return part * (real)exponent;
}

#endif
