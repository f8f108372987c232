/* kernel.h: what the compiled variants of kernel_variant.c (one per instruction set) offer to the dispatch in kernel.c.
 */
#ifndef FLEDGE_KERNEL_H
#define FLEDGE_KERNEL_H

#include <stdint.h>

/* Arrays are row-major with `count` columns, one environment per column: rows as in quadrotor.h. */
struct kernel_job {
    const float *state;        /* (17, count) */
    const float *setpoint;     /* (4, count) [rad/s] */
    const float *parameters;   /* (51, count) */
    const float *adjoint_next; /* (17, count), reverse only */
    float *next;               /* (17, count), forward only; may be `state` */
    float *adjoint_state;      /* (17, count), reverse only; may be `adjoint_next` */
    float *adjoint_setpoint;   /* (4, count), reverse only */
    int64_t count;             /* environments */
    float dt;                  /* [s] */
    unsigned effects;          /* enum quadrotor_effect */
};

/* Advances environments first..last-1; `first` is a multiple of the variant's lanes. */
typedef void kernel_range(const struct kernel_job *job, int64_t first, int64_t last);

kernel_range kernel_step_baseline, kernel_reverse_baseline;
kernel_range kernel_step_avx2, kernel_reverse_avx2;
kernel_range kernel_step_avx512, kernel_reverse_avx512;

enum { KERNEL_LANES_MAX = 16 };

#endif
