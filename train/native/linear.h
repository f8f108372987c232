/* linear.h: the loops in which the learner spends its time. `real` is a vector of environments. */
#ifndef FLEDGE_LINEAR_H
#define FLEDGE_LINEAR_H

#include "sum.h"

/* Tiles are what stays in registers: AVX-512 and NEON have 32 of them, the others 16. */
#if REAL_LANES == 16 || !defined(__x86_64__)
#define MANY_REGISTERS
enum { TILE = 8, TILE_MAX = 24, LEFT_TILE = 4, RIGHT_TILE = 6 };
#else
enum { TILE = 8, TILE_MAX = 12, LEFT_TILE = 4, RIGHT_TILE = 3 };
#endif
enum { SENSED_TILE = 18 }; /* an observation without look-ahead; with three references it is two of them */
#define UNROLL _Pragma("GCC unroll 32")
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Length of a matrix's rows, which tiles fill. */
static inline int padded(int size) {
#if defined(MANY_REGISTERS)
    if (size % SENSED_TILE == 0) return size;
#endif
    return (size + TILE - 1) / TILE * TILE;
}

/* A weight matrix in both orders, rows padded with zeros:
 * forward [inputs][padded(outputs)], reverse [outputs][padded(inputs)]. */
struct matrix {
    int inputs, outputs;
    const float *forward, *reverse;
};

/* One product in a sum of products: sum_i in[i] weight[i * stride + o]. */
struct term {
    const real *in;
    int inner;
    const float *weight;
    int stride;
};

static inline struct term forward_term(const struct matrix *m, const real *in) {
    return (struct term){.in = in, .inner = m->inputs, .weight = m->forward, .stride = padded(m->outputs)};
}

/* Outputs o to o + tile, a constant where it is called. */
ALWAYS_INLINE void sum_tile(const struct term *terms, int count, const float *bias, int o, real *out, int tile) {
    real sum[TILE_MAX];
    UNROLL for (int k = 0; k < tile; k++) sum[k] = bias ? real_splat(bias[o + k]) : out[o + k];
    for (const struct term *term = terms; term < terms + count; term++) {
        const float *weight = term->weight + o;
        for (int i = 0; i < term->inner; i++, weight += term->stride) {
            const real x = term->in[i];
            UNROLL for (int k = 0; k < tile; k++) sum[k] += x * weight[k];
        }
    }
    UNROLL for (int k = 0; k < tile; k++) out[o + k] = sum[k];
}

/* The tile with which to begin `left` outputs, so that none is narrow at the end. */
static inline int first_tile(int left) {
    if (left % TILE_MAX == 0) return TILE_MAX;
#if defined(MANY_REGISTERS)
    if (left % SENSED_TILE == 0) return SENSED_TILE;
    if (left > 4 * TILE) return TILE_MAX;
    if (left >= 2 * TILE) return 2 * TILE;
#endif
    return TILE;
}

/* out = bias + the terms; without a bias they are added to out. `outputs` as padded() says. */
static __attribute__((noinline)) void add_terms(const struct term *terms, int count, const float *bias, int outputs,
                                                real *out) {
    for (int o = 0, tile; o < outputs; o += tile) {
        tile = first_tile(outputs - o);
        if (tile == TILE) sum_tile(terms, count, bias, o, out, TILE);
#if defined(MANY_REGISTERS)
        if (tile == 2 * TILE) sum_tile(terms, count, bias, o, out, 2 * TILE);
        if (tile == SENSED_TILE) sum_tile(terms, count, bias, o, out, SENSED_TILE);
#endif
        if (tile == TILE_MAX) sum_tile(terms, count, bias, o, out, TILE_MAX);
    }
}

/* in_bar += W^T out_bar */
static inline void multiply_reverse(const struct matrix *m, const real *out_bar, real *in_bar) {
    const struct term term = {.in = out_bar, .inner = m->outputs, .weight = m->reverse, .stride = padded(m->inputs)};
    add_terms(&term, 1, NULL, term.stride, in_bar);
}

/* out = bias + W in for four outputs, inputs a multiple of four: in four parts, so that no sum waits for itself. */
static inline void multiply_four(const struct matrix *m, const float *bias, const real *in, real out[4]) {
    real sum[4][4];
    UNROLL for (int k = 0; k < 16; k++) sum[k / 4][k % 4] = real_splat(k < 4 ? bias[k] : 0);
    for (int i = 0; i < m->inputs; i += 4)
        UNROLL for (int k = 0; k < 16; k++) sum[k / 4][k % 4] +=
            in[i + k / 4] * m->forward[(i + k / 4) * padded(4) + k % 4];
    for (int k = 0; k < 4; k++) out[k] = (sum[0][k] + sum[1][k]) + (sum[2][k] + sum[3][k]);
}

/* A trace over the horizon: row t begins at data + t * stride. */
struct rows {
    const real *data;
    int stride;
};

static inline struct rows rows_from(const real *data, int stride, int first) {
    return (struct rows){data + first * stride, stride};
}

/* One tile of the weight gradient, kept in registers over a part of the horizon. */
ALWAYS_INLINE void contract_tile(struct rows left, struct rows right, int steps, real sum[LEFT_TILE][RIGHT_TILE]) {
    UNROLL for (int j = 0; j < LEFT_TILE; j++) UNROLL for (int k = 0; k < RIGHT_TILE; k++) sum[j][k] = real_splat(0);
    for (int t = 0; t < steps; t++, left.data += left.stride, right.data += right.stride)
        UNROLL for (int j = 0; j < LEFT_TILE; j++) UNROLL for (int k = 0; k < RIGHT_TILE; k++) sum[j][k] +=
            left.data[j] * right.data[k];
}

/* gradient[j][k] += scale * sum over lanes of sum[j][k], for the columns that exist. */
static inline void add_tile(real sum[LEFT_TILE][RIGHT_TILE], int columns, float scale, float *gradient, int stride) {
    float total[LEFT_TILE * RIGHT_TILE];
    UNROLL for (int i = 0; i < LEFT_TILE * RIGHT_TILE; i += 4) sum_four(&sum[0][0] + i, total + i);
    for (int j = 0; j < LEFT_TILE; j++)
        for (int k = 0; k < columns; k++) gradient[j * stride + k] += scale * total[j * RIGHT_TILE + k];
}

/* gradient[j][k] += scale * sum over t and lanes of left[t][j] right[t][k]; outputs a multiple of 4. Rows of `right`
 * are readable up to a multiple of RIGHT_TILE. */
static inline void contract(struct rows left, int outputs, struct rows right, int inputs, int steps, float scale,
                            float *gradient, int stride) {
    for (int k = 0; k < inputs; k += RIGHT_TILE)
        for (int j = 0; j < outputs; j += LEFT_TILE) {
            real sum[LEFT_TILE][RIGHT_TILE];
            contract_tile((struct rows){left.data + j, left.stride}, (struct rows){right.data + k, right.stride}, steps,
                          sum);
            add_tile(sum, inputs - k < RIGHT_TILE ? inputs - k : RIGHT_TILE, scale, gradient + j * stride + k, stride);
        }
}

/* gradient[j] += sum over t and lanes of left[t][j], outputs a multiple of 4; rows are readable up to one of TILE. */
static inline void contract_bias(struct rows left, int outputs, int steps, float *gradient) {
    for (int j = 0; j < outputs; j += TILE) {
        real sum[TILE] = {{0}};
        float total[TILE];
        for (int t = 0; t < steps; t++)
            UNROLL for (int k = 0; k < TILE; k++) sum[k] += left.data[t * left.stride + j + k];
        for (int k = 0; k < TILE; k += 4) sum_four(sum + k, total + k);
        for (int k = 0; k < TILE && j + k < outputs; k++) gradient[j + k] += total[k];
    }
}

#endif
