/* kernel.h: what the compiled variants of kernel_variant.c (one per instruction set) offer to the dispatch in kernel.c.
 */
#ifndef FLEDGE_KERNEL_H
#define FLEDGE_KERNEL_H

#include <stdint.h>

#include "actuation.h"

/* Arrays have one environment per column and `count` columns, rows as in quadrotor_rows.h; a stride is the distance
 * between two rows [floats]. kernel.py builds the same struct. */
struct kernel_job {
    const float *state;        /* 17 rows */
    const float *setpoint;     /* 4 rows [rad/s] */
    const float *parameters;   /* 51 rows */
    const float *adjoint_next; /* 17 rows, reverse only */
    float *next;               /* 17 rows, forward only; may be `state` */
    float *adjoint_state;      /* 17 rows, reverse only; may be `adjoint_next` */
    float *adjoint_setpoint;   /* 4 rows, reverse only */
    int64_t state_stride, setpoint_stride, parameters_stride, next_stride;
    int64_t adjoint_next_stride, adjoint_state_stride, adjoint_setpoint_stride;
    int64_t count; /* environments */
    float dt;      /* [s] */
    uint32_t effects;
    int32_t substeps; /* 1 to QUADROTOR_SUBSTEPS_MAX */
    int32_t threads;  /* at most this many */
};

/* Actions to set-points, and back where adjoint_setpoint is given. Arrays as above, without gaps between the rows. */
struct kernel_drive_job {
    const float *action;           /* 4 rows */
    const float *voltage;          /* 1 row [V] */
    const float *adjoint_setpoint; /* 4 rows, reverse only */
    float *result;                 /* 4 rows: set-points [rad/s]; reverse: adjoint of the actions */
    int64_t count;
    struct quadrotor_drive drive;
};
typedef void kernel_drive_range(const struct kernel_drive_job *job);

/* Advances environments first..last-1; `first` is a multiple of the variant's lanes. */
typedef void kernel_range(const struct kernel_job *job, int64_t first, int64_t last);

kernel_range kernel_step_baseline, kernel_reverse_baseline;
kernel_range kernel_step_avx2, kernel_reverse_avx2;
kernel_range kernel_step_avx512, kernel_reverse_avx512;

kernel_drive_range kernel_drive_baseline, kernel_drive_avx2, kernel_drive_avx512;

enum { KERNEL_LANES_MAX = 16 };

#endif
