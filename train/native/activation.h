/* activation.h: tanh and sigmoid of vectors. */
#ifndef FLEDGE_ACTIVATION_H
#define FLEDGE_ACTIVATION_H

#include "real.h"

/* Odd rational fit of degree 4/4 in x^2 on |x| <= 7.6; absolute error 5e-7. Source: own least-squares fit. */
static inline void tanh_fraction(real x, real *over, real *under) {
    const real bound = real_splat(0x1.e66666p+2f);
    x = real_clip(x, -bound, bound);
    const real s = x * x;
    const real p = (((0x1.108a72p-26f * s + 0x1.760550p-16f) * s + 0x1.d71482p-9f) * s + 0x1.13b8b0p-3f) * s + 1;
    *over = x * p;
    *under = (((0x1.d67382p-21f * s + 0x1.69ab6cp-12f) * s + 0x1.ae0df4p-6f) * s + 0x1.df31a8p-2f) * s + 1;
}

static inline real rational_tanh(real x) {
    real over, under;
    tanh_fraction(x, &over, &under);
    return over / under;
}

/* x <- tanh(x), four at a time: a division costs as much as all else, and one serves for all. */
static inline void tanh_four(real x[4]) {
    real over[4], under[4];
    for (int i = 0; i < 4; i++) tanh_fraction(x[i], &over[i], &under[i]);
    const real left = under[0] * under[1], right = under[2] * under[3], inverse = 1 / (left * right);
    const real a = inverse * right, b = inverse * left;
    x[0] = over[0] * (under[1] * a), x[1] = over[1] * (under[0] * a);
    x[2] = over[2] * (under[3] * b), x[3] = over[3] * (under[2] * b);
}

/* In place; count a multiple of 4. */
static inline void apply_tanh(real *x, int count) {
    for (int i = 0; i < count; i += 4) tanh_four(x + i);
}

/* sigmoid(x) = (1 + tanh(x / 2)) / 2 */
static inline void apply_sigmoid(real *x, int count) {
    for (int i = 0; i < count; i += 4) {
        real half[4];
        for (int k = 0; k < 4; k++) half[k] = 0.5f * x[i + k];
        tanh_four(half);
        for (int k = 0; k < 4; k++) x[i + k] = 0.5f * half[k] + 0.5f;
    }
}

#endif
