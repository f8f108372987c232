/* square_root.h: one instruction on every target, never a library call. */
#ifndef FLEDGE_SQUARE_ROOT_H
#define FLEDGE_SQUARE_ROOT_H

/* sqrt(x) for x >= 0, correctly rounded. */
static inline float square_root(float x) {
#if defined(__arm__)
    float root;
    __asm("vsqrt.f32 %0, %1" : "=t"(root) : "t"(x)); /* the built-in also sets errno, through a library */
    return root;
#else
    return __builtin_sqrtf(x);
#endif
}

#endif
