/* sum.h: sums over the lanes of a vector, of one and of four at once. */
#ifndef FLEDGE_SUM_H
#define FLEDGE_SUM_H

#include "real.h"

static inline float sum_lanes(real x) {
    float sum = 0;
    for (int lane = 0; lane < REAL_LANES; lane++) sum += x[lane];
    return sum;
}

/* sum_four: the sum of each of four vectors. Halves are interleaved and added, so that all lanes work to the end:
 *   a0+a2 b0+b2 a1+a3 b1+b3 ..,  then  a b c d ..,  then the groups of four lanes are added. */
#if defined(__AVX512F__) && REAL_LANES == 16
static inline void sum_four(const real x[4], float sum[4]) {
    const __m512 a = (__m512)x[0], b = (__m512)x[1], c = (__m512)x[2], d = (__m512)x[3];
    const __m512d ab = (__m512d)_mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const __m512d cd = (__m512d)_mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    const __m512 all = _mm512_add_ps((__m512)_mm512_unpacklo_pd(ab, cd), (__m512)_mm512_unpackhi_pd(ab, cd));
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
    _mm_storeu_ps(sum, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
}
#elif defined(__AVX__) && REAL_LANES == 8
static inline void sum_four(const real x[4], float sum[4]) {
    const __m256 a = (__m256)x[0], b = (__m256)x[1], c = (__m256)x[2], d = (__m256)x[3];
    const __m256d ab = (__m256d)_mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    const __m256d cd = (__m256d)_mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    const __m256 all = _mm256_add_ps((__m256)_mm256_unpacklo_pd(ab, cd), (__m256)_mm256_unpackhi_pd(ab, cd));
    _mm_storeu_ps(sum, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
}
#else
static inline void sum_four(const real x[4], float sum[4]) {
    for (int i = 0; i < 4; i++) sum[i] = sum_lanes(x[i]);
}
#endif

#endif
