/* counter_random.h: random numbers as a pure function of (seed, world, episode, step, channel). The definition, bit for
 * bit, is in fledge_sim/counter_random.py; an identity (a, b) there depends on seed and world. */
#ifndef FLEDGE_COUNTER_RANDOM_H
#define FLEDGE_COUNTER_RANDOM_H

#include "lanes.h"

enum random_channel { /* Channel in counter_random.py */
                      RANDOM_SENSOR_NOISE = 0,
                      RANDOM_DROPOUT = 1000,
                      RANDOM_GUST = 1001,
                      RANDOM_DRAW = 2000,
                      RANDOM_INITIAL = 3000,
                      RANDOM_REFERENCE = 4000
};

static inline real_bits random_mix(real_bits x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

static inline real_bits random_key(const real_bits identity[2], real_bits episode, real_bits step) {
    return random_mix(random_mix(random_mix(identity[0] ^ episode) ^ step) ^ random_mix(identity[1] ^ episode));
}

static inline real_bits random_word(real_bits key, int channel) {
    return random_mix(key ^ ((uint32_t)channel * 0x9e3779b9u));
}

/* [0, 1) */
static inline real random_uniform(real_bits word) { return real_from_bits(word >> 8) * 0x1p-24f; }

/* Sum of four bytes, mean 510, variance 4 (256^2 - 1) / 12 = 21845. */
static inline real random_normal(real_bits word) {
    const real_bits pairs = (word & 0x00ff00ffu) + ((word >> 8) & 0x00ff00ffu);
    return (real_from_bits((pairs & 0xffffu) + (pairs >> 16)) - 510.0f) * 0.006765875f;
}

#endif
