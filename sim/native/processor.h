/* processor.h: which of a source's variants (one per instruction set, CMakeLists.txt) this processor runs; host only.
 */
#ifndef FLEDGE_PROCESSOR_H
#define FLEDGE_PROCESSOR_H

#include <stdlib.h>
#include <string.h>

/* Places in every table of variants, from narrow to wide. */
enum processor_variant { PROCESSOR_BASELINE = 0, PROCESSOR_AVX2 = 1, PROCESSOR_AVX512 = 2 };

static inline int processor_widest(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return PROCESSOR_BASELINE;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") ? PROCESSOR_AVX512 : PROCESSOR_AVX2;
#else
    return PROCESSOR_BASELINE;
#endif
}

/* The widest, unless FLEDGE_ISA names a narrower one, so that a test can run them all on one machine; other values
 * change nothing. */
static inline int processor_chosen(void) {
    static const char *const names[] = {"baseline", "avx2", "avx512"};
    const int most = processor_widest();
    const char *wish = getenv("FLEDGE_ISA");
    for (int i = 0; wish && i < most; i++)
        if (strcmp(wish, names[i]) == 0) return i;
    return most;
}

#endif
