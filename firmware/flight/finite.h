/* finite.h: what a comparison cannot say about a float. */
#ifndef FLEDGE_FINITE_H
#define FLEDGE_FINITE_H

#include <stdint.h>

/* 1 unless x is NaN or infinite; looks at the exponent so that no compiler option can optimise it away. */
static inline uint32_t is_finite(float x) {
    const union {
        float value;
        uint32_t bits;
    } view = {.value = x};
    return (view.bits & 0x7f800000u) != 0x7f800000u;
}

static inline uint32_t are_finite(const float *x, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (!is_finite(x[i])) return 0;
    return 1;
}

/* Nearest number in low..high; NaN becomes low. */
static inline float clip(float x, float low, float high) {
    const float raised = x > low ? x : low;
    return raised < high ? raised : high;
}

#endif
