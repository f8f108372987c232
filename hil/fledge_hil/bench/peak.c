/* Fused multiply-adds in registers, nothing else: what a core's arithmetic can do. LANES floats per vector. */
#include <stdint.h>

enum { CHAINS = 12 }; /* independent, enough to hide the latency; fits 16 registers with the two constants */

typedef float vector __attribute__((vector_size(4 * LANES)));

/* Returns the floating point operations that took place. */
__attribute__((visibility("default"))) int64_t fledge_peak(int64_t rounds, float *sink);
int64_t fledge_peak(int64_t rounds, float *sink) {
    const vector zero = {0}, factor = zero + 0.9999f, term = zero + 0.0001f;
    vector chain[CHAINS];
    for (int i = 0; i < CHAINS; i++) chain[i] = zero + (float)i;
    for (int64_t round = 0; round < rounds; round++)
        for (int i = 0; i < CHAINS; i++) chain[i] = chain[i] * factor + term;
    for (int i = 1; i < CHAINS; i++) chain[0] += chain[i];
    for (int i = 0; i < LANES; i++) sink[i] = chain[0][i];
    return 2 * rounds * CHAINS * LANES;
}
