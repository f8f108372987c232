/* finite.h: what a comparison cannot say about a float. */
#ifndef FLEDGE_FINITE_H
#define FLEDGE_FINITE_H

#include <stdint.h>

/* |x| as an unsigned number: in the same order, infinity above all numbers and NaN above infinity. Integers, so that no
 * compiler option can optimise the question away. */
static inline uint32_t magnitude(float x) {
    const union {
        float value;
        uint32_t bits;
    } view = {.value = x};
    return view.bits & 0x7fffffffu;
}

/* 1 if |x| <= limit for each; NaN is within nothing. No branch but the loop's. */
static inline uint32_t all_within(const float *x, uint32_t count, float limit) {
    const uint32_t most = magnitude(limit);
    uint32_t excess = 0;
    for (uint32_t i = 0; i < count; i++) excess |= most - magnitude(x[i]); /* the top bit: there was not so much */
    return !(excess >> 31);
}

/* 1 unless one is NaN or infinite. */
static inline uint32_t are_finite(const float *x, uint32_t count) { return all_within(x, count, 0x1.fffffep127f); }

static inline uint32_t is_finite(float x) { return magnitude(x) < 0x7f800000u; }

/* Nearest number in low..high; NaN becomes low. */
static inline float clip(float x, float low, float high) {
    const float raised = x > low ? x : low;
    return raised < high ? raised : high;
}

#endif
