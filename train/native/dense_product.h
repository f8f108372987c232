/* dense_product.h: the matrix product in which all dense networks spend their time. */
#ifndef FLEDGE_DENSE_PRODUCT_H
#define FLEDGE_DENSE_PRODUCT_H

#include <stdint.h>
#include <string.h>

#include "real.h"

/* Left factor: element (r, k) at data[r * row + k * column]. */
struct product_left {
    const float *data;
    int64_t row, column;
};

/* Right factor and result: rows of vectors, `row` floats apart. */
struct product_right {
    const float *data;
    int64_t row;
};

/* Vectors in a wide tile of the result: with six rows they fill the registers, 32 of AVX-512, 16 of the others. */
enum { PRODUCT_ROWS = 6, PRODUCT_WIDE = REAL_LANES == 16 ? 4 : 2 };
#define PRODUCT_INLINE static inline __attribute__((always_inline))

PRODUCT_INLINE real product_load(const float *from) {
    real x;
    memcpy(&x, from, sizeof x);
    return x;
}

/* out (rows x vectors) = start + left (rows x inner) right (inner x vectors); the sums stay in registers. */
PRODUCT_INLINE void product_tile(struct product_left left, int64_t inner, struct product_right right,
                                 const float *start, float *out, int64_t out_row, const int rows, const int vectors) {
    real sum[PRODUCT_ROWS][PRODUCT_WIDE];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) sum[r][v] = start ? product_load(start + v * REAL_LANES) : real_splat(0);
    for (int64_t k = 0; k < inner; k++) {
        const float *from = left.data + k * left.column, *with = right.data + k * right.row;
        real factor[PRODUCT_WIDE];
        for (int v = 0; v < vectors; v++) factor[v] = product_load(with + v * REAL_LANES);
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++) sum[r][v] += from[r * left.row] * factor[v];
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) memcpy(out + r * out_row + v * REAL_LANES, &sum[r][v], sizeof(real));
}

/* All rows of a panel of `vectors` vectors: sixes, then what is left. */
PRODUCT_INLINE void product_panel(struct product_left left, int64_t rows, int64_t inner, struct product_right right,
                                  const float *start, float *out, int64_t out_row, const int vectors) {
    int64_t r = 0;
    for (; r + 6 <= rows; r += 6, left.data += 6 * left.row)
        product_tile(left, inner, right, start, out + r * out_row, out_row, 6, vectors);
    for (; r + 2 <= rows; r += 2, left.data += 2 * left.row)
        product_tile(left, inner, right, start, out + r * out_row, out_row, 2, vectors);
    if (r < rows) product_tile(left, inner, right, start, out + r * out_row, out_row, 1, vectors);
}

/* out [rows][width] = start [width] + left (rows x inner) right [inner][width]; width a multiple of DENSE_GRANULE,
 * right and start aligned. start = NULL: zero. */
static inline void product(struct product_left left, int64_t rows, int64_t inner, struct product_right right,
                           int64_t width, const float *start, float *out, int64_t out_row) {
    int64_t first = 0;
    for (; first + PRODUCT_WIDE * REAL_LANES <= width; first += PRODUCT_WIDE * REAL_LANES)
        product_panel(left, rows, inner, (struct product_right){right.data + first, right.row},
                      start ? start + first : NULL, out + first, out_row, PRODUCT_WIDE);
    for (; first < width; first += REAL_LANES)
        product_panel(left, rows, inner, (struct product_right){right.data + first, right.row},
                      start ? start + first : NULL, out + first, out_row, 1);
}

#endif
