/* fuzz.h: what the fuzzers share: a case is bytes, which are used up one by one; without libFuzzer they are drawn here.
 */
#ifndef FLEDGE_FUZZ_H
#define FLEDGE_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { CASE_BYTES = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ticks since the program began, and how many of them the policy had. */
static uint64_t fuzz_ticks, fuzz_policy_ticks;

struct bytes {
    const uint8_t *data;
    size_t left;
};

static inline uint32_t byte(struct bytes *bytes) {
    if (!bytes->left) return 0;
    bytes->left--;
    return *bytes->data++;
}

/* A number generator of the 64-bit congruential kind; its high bits are good enough to break things. */
static inline uint32_t fuzz_next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 32);
}

/* SEED TICKS, or so many ticks. Fails where the policy had less than one tick in a hundred: then it was not tested. */
static inline int fuzz_main(int count, char **arguments, uint64_t ticks) {
    uint64_t seed = count > 1 ? strtoull(arguments[1], 0, 10) : 1, cases = 0;
    if (count > 2) ticks = strtoull(arguments[2], 0, 10);
    for (; fuzz_ticks < ticks; cases++) {
        uint8_t data[CASE_BYTES];
        for (int i = 0; i < CASE_BYTES; i++) data[i] = (uint8_t)(fuzz_next(&seed) >> 24);
        LLVMFuzzerTestOneInput(data, CASE_BYTES);
    }
    printf("%llu cases, %llu ticks, %llu of them with the policy, no finding\n", (unsigned long long)cases,
           (unsigned long long)fuzz_ticks, (unsigned long long)fuzz_policy_ticks);
    return fuzz_policy_ticks > ticks / 100 ? 0 : 1;
}

#endif
