#include "touch.h"

#define WHOLE_SHIFT 12582912.0f /* 1.5 * 2^23: beside it a float has no fraction */

enum {
    ROW = TOUCH_COLUMNS * TOUCH_COMPONENTS,
    WIDTH = TOUCH_CELLS * TOUCH_COMPONENTS,
    UNITS = TOUCH_CELLS * TOUCH_CELLS * TOUCH_TARE_FRAMES /* parts of a count */
};
_Static_assert(TOUCH_ROWS >= TOUCH_CELLS && TOUCH_COLUMNS >= TOUCH_CELLS, "a taxel lies in two cells at most");
_Static_assert((int64_t)65535 * (TOUCH_ROWS + TOUCH_CELLS) * (TOUCH_COLUMNS + TOUCH_CELLS) * TOUCH_TARE_FRAMES <
                   INT32_MAX,
               "a cell's sum is an int32_t");

/* A taxel is TOUCH_CELLS units long, a cell `taxels` units: which cell the taxel begins in, and how much of it lies in
 * the next. */
struct place {
    int32_t cell, here, beyond;
};

static struct place place_of(int32_t taxel, int32_t taxels) {
    const int32_t begin = taxel * TOUCH_CELLS, cell = begin / taxels;
    const int32_t over = begin + TOUCH_CELLS - (cell + 1) * taxels, beyond = over > 0 ? over : 0;
    return (struct place){.cell = cell, .here = TOUCH_CELLS - beyond, .beyond = beyond};
}

void touch_clear(struct touch *touch) {
    for (int32_t i = 0; i < TOUCH_COUNTS; i++) touch->zero[i] = 0;
    touch->frames = 0;
}

int touch_tare(struct touch *touch, const int16_t counts[TOUCH_COUNTS]) {
    if (touch->frames >= TOUCH_TARE_FRAMES) return 1;
    for (int32_t i = 0; i < TOUCH_COUNTS; i++) touch->zero[i] += counts[i];
    touch->frames++;
    return touch->frames >= TOUCH_TARE_FRAMES;
}

int16_t touch_quantise(float newton, float counts_per_newton, int16_t limit) {
    const float x = newton * counts_per_newton, most = (float)limit;
    if (!(x == x)) return 0;
    if (x >= most) return limit;
    if (x <= -most) return (int16_t)-limit;
    return (int16_t)((x + WHOLE_SHIFT) - WHOLE_SHIFT);
}

static void add(int32_t weight, const int32_t taxel[TOUCH_COMPONENTS], int32_t sum[TOUCH_COMPONENTS]) {
    for (int32_t k = 0; k < TOUCH_COMPONENTS; k++) sum[k] += weight * taxel[k];
}

/* One row of taxels into the cells of a row. */
static void pool_row(const int32_t *zero, const int16_t *counts, int32_t sum[WIDTH]) {
    for (int32_t k = 0; k < WIDTH; k++) sum[k] = 0;
    for (int32_t column = 0; column < TOUCH_COLUMNS; column++) {
        const struct place place = place_of(column, TOUCH_COLUMNS);
        int32_t taxel[TOUCH_COMPONENTS];
        for (int32_t k = 0; k < TOUCH_COMPONENTS; k++) {
            const int32_t e = column * TOUCH_COMPONENTS + k;
            taxel[k] = TOUCH_TARE_FRAMES * counts[e] - (zero ? zero[e] : 0);
        }
        add(place.here, taxel, sum + place.cell * TOUCH_COMPONENTS);
        if (place.beyond > 0) add(place.beyond, taxel, sum + (place.cell + 1) * TOUCH_COMPONENTS);
    }
}

static void pool_pad(const int32_t *zero, const int16_t *counts, int32_t sum[TOUCH_CELLS * WIDTH]) {
    for (int32_t k = 0; k < TOUCH_CELLS * WIDTH; k++) sum[k] = 0;
    for (int32_t row = 0; row < TOUCH_ROWS; row++) {
        const struct place place = place_of(row, TOUCH_ROWS);
        int32_t of_row[WIDTH];
        pool_row(zero ? zero + row * ROW : 0, counts + row * ROW, of_row);
        for (int32_t k = 0; k < WIDTH; k++) sum[place.cell * WIDTH + k] += place.here * of_row[k];
        for (int32_t k = 0; k < WIDTH && place.beyond > 0; k++)
            sum[(place.cell + 1) * WIDTH + k] += place.beyond * of_row[k];
    }
}

void touch_pool(const struct touch *touch, const int16_t counts[TOUCH_COUNTS],
                const float newton_per_count[TOUCH_COMPONENTS], float pooled[TOUCH_SIZE]) {
    const int32_t *zero = touch->frames >= TOUCH_TARE_FRAMES ? touch->zero : 0;
    for (int32_t pad = 0; pad < TOUCH_PADS; pad++) {
        int32_t sum[TOUCH_CELLS * WIDTH];
        pool_pad(zero ? zero + pad * TOUCH_ROWS * ROW : 0, counts + pad * TOUCH_ROWS * ROW, sum);
        for (int32_t k = 0; k < TOUCH_CELLS * WIDTH; k++)
            pooled[pad * TOUCH_CELLS * WIDTH + k] =
                (float)sum[k] * (newton_per_count[k % TOUCH_COMPONENTS] * (1.0f / (float)UNITS));
    }
}
