/* quaternion.h: rotations for any scalar type (real.h), each with its reverse sweep; the only C text that indexes a
 * quaternion. w, x, y, z, body to world. A function *_reverse adds the derivative of its scalar product with the given
 * adjoint to the *_bar arguments.
 */
#ifndef FLEDGE_QUATERNION_H
#define FLEDGE_QUATERNION_H

#include "real.h"

static inline void cross(const real a[3], const real b[3], real out[3]) {
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

static inline real dot(const real a[3], const real b[3]) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

/* ---- 3 x 3 matrices, row-major ---------------------------------------------------------------- */

/* M v */
static inline void matrix_times(const real m[9], const real v[3], real out[3]) {
    for (int i = 0; i < 3; i++) out[i] = dot(m + 3 * i, v);
}

/* M^T v */
static inline void matrix_transposed_times(const real m[9], const real v[3], real out[3]) {
    for (int i = 0; i < 3; i++) out[i] = m[i] * v[0] + m[3 + i] * v[1] + m[6 + i] * v[2];
}

/* M += a b^T, the adjoint of M in a . M b */
static inline void matrix_add_outer(const real a[3], const real b[3], real m[9]) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) m[3 * i + j] += a[i] * b[j];
}

/* ---- quaternions ------------------------------------------------------------------------------ */

/* Half the body's z axis in world, half the third column of R(q). */
static inline void quaternion_half_axis_z(const real q[4], real out[3]) {
    out[0] = q[1] * q[3] + q[0] * q[2];
    out[1] = q[2] * q[3] - q[0] * q[1];
    out[2] = (real_scalar)0.5 - (q[1] * q[1] + q[2] * q[2]);
}

static inline void quaternion_half_axis_z_reverse(const real q[4], const real a[3], real q_bar[4]) {
    q_bar[0] += a[0] * q[2] - a[1] * q[1];
    q_bar[1] += a[0] * q[3] - a[1] * q[0] - 2 * a[2] * q[1];
    q_bar[2] += a[0] * q[0] + a[1] * q[3] - 2 * a[2] * q[2];
    q_bar[3] += a[0] * q[1] + a[1] * q[2];
}

/* Rotation matrix, row-major, world from body (1 - 2(y^2 + z^2), ...). */
static inline void quaternion_matrix(const real q[4], real r[9]) {
    const real w = q[0], x = q[1], y = q[2], z = q[3];
    r[0] = 1 - 2 * (y * y + z * z), r[1] = 2 * (x * y - w * z), r[2] = 2 * (x * z + w * y);
    r[3] = 2 * (x * y + w * z), r[4] = 1 - 2 * (x * x + z * z), r[5] = 2 * (y * z - w * x);
    r[6] = 2 * (x * z - w * y), r[7] = 2 * (y * z + w * x), r[8] = 1 - 2 * (x * x + y * y);
}

/* Adds d(m : R(q))/dq to q_bar, m row-major. */
static inline void quaternion_matrix_reverse(const real q[4], const real m[9], real q_bar[4]) {
    const real w = q[0], x = q[1], y = q[2], z = q[3];
    q_bar[0] += 2 * (x * (m[7] - m[5]) + y * (m[2] - m[6]) + z * (m[3] - m[1]));
    q_bar[1] += 2 * (w * (m[7] - m[5]) + y * (m[1] + m[3]) + z * (m[2] + m[6]) - 2 * x * (m[4] + m[8]));
    q_bar[2] += 2 * (w * (m[2] - m[6]) + x * (m[1] + m[3]) + z * (m[5] + m[7]) - 2 * y * (m[0] + m[8]));
    q_bar[3] += 2 * (w * (m[3] - m[1]) + x * (m[2] + m[6]) + y * (m[5] + m[7]) - 2 * z * (m[0] + m[4]));
}

/* q_dot = 1/2 q (x) (0, w) */
static inline void quaternion_rate(const real q[4], const real w[3], real q_dot[4]) {
    const real_scalar half = (real_scalar)0.5;
    const real h[3] = {half * w[0], half * w[1], half * w[2]};
    q_dot[0] = -(q[1] * h[0] + q[2] * h[1] + q[3] * h[2]);
    q_dot[1] = q[0] * h[0] + q[2] * h[2] - q[3] * h[1];
    q_dot[2] = q[0] * h[1] - q[1] * h[2] + q[3] * h[0];
    q_dot[3] = q[0] * h[2] + q[1] * h[1] - q[2] * h[0];
}

static inline void quaternion_rate_reverse(const real q[4], const real w[3], const real l[4], real q_bar[4],
                                           real w_bar[3]) {
    const real_scalar half = (real_scalar)0.5;
    const real h[4] = {half * l[0], half * l[1], half * l[2], half * l[3]};
    q_bar[0] += h[1] * w[0] + h[2] * w[1] + h[3] * w[2];
    q_bar[1] += h[3] * w[1] - h[0] * w[0] - h[2] * w[2];
    q_bar[2] += h[1] * w[2] - h[0] * w[1] - h[3] * w[0];
    q_bar[3] += h[2] * w[0] - h[0] * w[2] - h[1] * w[1];
    w_bar[0] += h[1] * q[0] + h[2] * q[3] - h[0] * q[1] - h[3] * q[2];
    w_bar[1] += h[2] * q[0] + h[3] * q[1] - h[0] * q[2] - h[1] * q[3];
    w_bar[2] += h[1] * q[2] + h[3] * q[0] - h[0] * q[3] - h[2] * q[1];
}

/* Scales to unit length in place; returns 1/|q| for the reverse sweep. */
static inline real quaternion_normalise(real q[4]) {
    const real scale = real_inverse_sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
    for (int i = 0; i < 4; i++) q[i] *= scale;
    return scale;
}

/* q = unit quaternion after normalising, scale = 1/|q| before: l <- (l - q (q.l)) scale. */
static inline void quaternion_normalise_reverse(const real q[4], real scale, real l[4]) {
    const real along = q[0] * l[0] + q[1] * l[1] + q[2] * l[2] + q[3] * l[3];
    for (int i = 0; i < 4; i++) l[i] = (l[i] - q[i] * along) * scale;
}

#endif
