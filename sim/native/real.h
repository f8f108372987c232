/* real.h: the scalar type of the physics text.
 *
 * `real` is one number on a microcontroller (float), one number in tests (double, -DREAL_DOUBLE), or a SIMD vector of
 * REAL_LANES environments on the host (float; GCC and clang vector extensions). Arithmetic operators work on all three,
 * also between a scalar and a vector; what operators cannot say is below.
 */
#ifndef FLEDGE_REAL_H
#define FLEDGE_REAL_H

#include <stdint.h>

#if defined(REAL_LANES)

typedef float real __attribute__((vector_size(4 * REAL_LANES)));
typedef int32_t real_mask __attribute__((vector_size(4 * REAL_LANES)));
typedef float real_scalar;

static inline real real_splat(float value) { return value - (real){0}; }
static inline real_mask real_greater(real a, real b) { return a > b; }
static inline real real_truncate(real x) {
    return __builtin_convertvector(__builtin_convertvector(x, real_mask), real);
}

#if defined(__AVX512F__) && defined(__AVX512DQ__) && REAL_LANES == 16
#include <immintrin.h>
static inline real real_sqrt(real x) { return (real)_mm512_sqrt_ps((__m512)x); }
static inline real real_select(real_mask condition, real yes, real no) {
    return (real)_mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)condition), (__m512)no, (__m512)yes);
}
static inline real real_choose(real a, real b, real yes, real no) {
    return (real)_mm512_mask_blend_ps(_mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OS), (__m512)no, (__m512)yes);
}
#define REAL_CHOOSES
/* a > b ? a : b, and a > b ? b : a, also of NaN: the second operand of the instruction is what remains. */
static inline real real_max(real a, real b) { return (real)_mm512_max_ps((__m512)a, (__m512)b); }
static inline real real_min(real a, real b) { return (real)_mm512_min_ps((__m512)b, (__m512)a); }
#define REAL_ORDERS
static inline int real_any(real_mask mask) { return _mm512_movepi32_mask((__m512i)mask) != 0; }
#elif defined(__AVX__) && REAL_LANES == 8
#include <immintrin.h>
static inline real real_sqrt(real x) { return (real)_mm256_sqrt_ps((__m256)x); }
static inline real real_select(real_mask condition, real yes, real no) {
    return (real)_mm256_blendv_ps((__m256)no, (__m256)yes, (__m256)condition);
}
static inline real real_max(real a, real b) { return (real)_mm256_max_ps((__m256)a, (__m256)b); }
static inline real real_min(real a, real b) { return (real)_mm256_min_ps((__m256)b, (__m256)a); }
#define REAL_ORDERS
static inline int real_any(real_mask mask) { return _mm256_movemask_ps((__m256)mask) != 0; }
#else
static inline real real_sqrt(real x) {
    real root;
    for (int lane = 0; lane < REAL_LANES; lane++) root[lane] = __builtin_sqrtf(x[lane]);
    return root;
}
static inline real real_select(real_mask condition, real yes, real no) {
    return (real)((condition & (real_mask)yes) | (~condition & (real_mask)no));
}
static inline int real_any(real_mask mask) {
    int32_t any = 0;
    for (int lane = 0; lane < REAL_LANES; lane++) any |= mask[lane];
    return any != 0;
}
#endif

#else /* one number */

#if defined(REAL_DOUBLE)
typedef double real;
typedef double real_scalar;
static inline real real_sqrt(real x) { return __builtin_sqrt(x); }
static inline real real_splat(double value) { return value; }
#else
typedef float real;
typedef float real_scalar;
static inline real real_sqrt(real x) { return __builtin_sqrtf(x); }
static inline real real_splat(float value) { return value; }
#endif

typedef int real_mask;
static inline real_mask real_greater(real a, real b) { return a > b; }
static inline real real_select(real_mask condition, real yes, real no) { return condition ? yes : no; }
static inline int real_any(real_mask mask) { return mask; }
static inline real real_truncate(real x) { return (real)(int32_t)x; } /* |x| < 2^31 */

#endif

#if !defined(REAL_CHOOSES) /* a > b ? yes : no, where the comparison need not become a vector first */
static inline real real_choose(real a, real b, real yes, real no) { return real_select(real_greater(a, b), yes, no); }
#endif
static inline real real_inverse(real x) { return 1 / x; }
static inline real real_inverse_sqrt(real x) { return 1 / real_sqrt(x); }
/* Adds where the condition holds, and leaves every bit of the sum elsewhere. */
static inline void real_add_where(real_mask condition, real *sum, real add) {
    *sum = real_select(condition, *sum + add, *sum);
}
#if !defined(REAL_ORDERS)
static inline real real_max(real a, real b) { return real_select(real_greater(a, b), a, b); }
static inline real real_min(real a, real b) { return real_select(real_greater(a, b), b, a); }
#endif
static inline real real_clip(real x, real low, real high) { return real_min(real_max(x, low), high); }

#endif
