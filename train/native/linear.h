/* linear.h: the three loops in which the learner spends its time, and its tanh. `real` is a vector of environments. */
#ifndef FLEDGE_LINEAR_H
#define FLEDGE_LINEAR_H

#include "real.h"

enum { TILE = 8, LEFT_TILE = 4, RIGHT_TILE = REAL_LANES == 8 ? 2 : 4 }; /* AVX2 has 16 registers, the others 32 */

static inline int padded(int size) { return (size + TILE - 1) / TILE * TILE; }

/* A weight matrix in both orders, rows padded with zeros to TILE:
 * forward [inputs][padded(outputs)], reverse [outputs][padded(inputs)]. */
struct matrix {
    int inputs, outputs;
    const float *forward, *reverse;
};

/* out[o] += sum_i in[i] weight[i][o], o < padded outer. */
static inline void accumulate(const real *in, int inner, const float *weight, int stride, real *out) {
    for (int o = 0; o < stride; o += TILE) {
        real sum[TILE];
        for (int k = 0; k < TILE; k++) sum[k] = out[o + k];
        for (int i = 0; i < inner; i++) {
            const float *row = weight + i * stride + o;
            const real x = in[i];
            for (int k = 0; k < TILE; k++) sum[k] += x * row[k];
        }
        for (int k = 0; k < TILE; k++) out[o + k] = sum[k];
    }
}

static inline void multiply(const struct matrix *m, const real *in, real *out) {
    accumulate(in, m->inputs, m->forward, padded(m->outputs), out);
}

/* in_bar += W^T out_bar */
static inline void multiply_reverse(const struct matrix *m, const real *out_bar, real *in_bar) {
    accumulate(out_bar, m->outputs, m->reverse, padded(m->inputs), in_bar);
}

static inline float sum_lanes(real x) {
    float sum = 0;
    for (int lane = 0; lane < REAL_LANES; lane++) sum += x[lane];
    return sum;
}

/* A trace over the horizon: row t begins at data + t * stride. */
struct rows {
    const real *data;
    int stride;
};

/* One tile of the weight gradient, kept in registers over the horizon. */
static inline void contract_tile(const real *left, int left_stride, const real *right, int right_stride, int steps,
                                 real sum[LEFT_TILE][RIGHT_TILE]) {
    for (int t = 0; t < steps; t++, left += left_stride, right += right_stride)
        for (int j = 0; j < LEFT_TILE; j++)
            for (int k = 0; k < RIGHT_TILE; k++) sum[j][k] += left[j] * right[k];
}

/* gradient[j][k] += scale * sum over t and lanes of left[t][j] right[t][k]; outputs a multiple of 4. Rows of `right`
 * are readable up to a multiple of RIGHT_TILE. */
static inline void contract(struct rows left, int outputs, struct rows right, int inputs, int steps, float scale,
                            float *gradient, int gradient_stride) {
    for (int j = 0; j < outputs; j += LEFT_TILE)
        for (int k = 0; k < inputs; k += RIGHT_TILE) {
            real sum[LEFT_TILE][RIGHT_TILE] = {{{0}}};
            contract_tile(left.data + j, left.stride, right.data + k, right.stride, steps, sum);
            for (int a = 0; a < LEFT_TILE; a++)
                for (int b = 0; b < RIGHT_TILE && k + b < inputs; b++)
                    gradient[(j + a) * gradient_stride + k + b] += scale * sum_lanes(sum[a][b]);
        }
}

/* gradient[j] += sum over t and lanes of left[t][j] */
static inline void contract_bias(struct rows left, int outputs, int steps, float *gradient) {
    for (int j = 0; j < outputs; j++) {
        real sum = {0};
        for (int t = 0; t < steps; t++) sum += left.data[t * left.stride + j];
        gradient[j] += sum_lanes(sum);
    }
}

/* Odd rational fit of degree 4/4 in x^2 on |x| <= 7.6; absolute error 5e-7. Source: own least-squares fit. */
static inline real rational_tanh(real x) {
    const real bound = real_splat(0x1.e66666p+2f);
    x = real_clip(x, -bound, bound);
    const real s = x * x;
    const real p = (((0x1.108a72p-26f * s + 0x1.760550p-16f) * s + 0x1.d71482p-9f) * s + 0x1.13b8b0p-3f) * s + 1;
    const real q = (((0x1.d67382p-21f * s + 0x1.69ab6cp-12f) * s + 0x1.ae0df4p-6f) * s + 0x1.df31a8p-2f) * s + 1;
    return x * p / q;
}

static inline real rational_sigmoid(real x) { return 0.5f * rational_tanh(0.5f * x) + 0.5f; }

#endif
