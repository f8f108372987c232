#include "touch.h"

#include "../check.h"

static struct touch touch;
static int16_t counts[TOUCH_COUNTS];
static float pooled[TOUCH_SIZE];
static const float scale[3] = {0.5f, 0.25f, 2.0f};

static int16_t *taxel(int pad, int row, int column) {
    return counts + ((pad * TOUCH_ROWS + row) * TOUCH_COLUMNS + column) * TOUCH_COMPONENTS;
}

static float cell(int pad, int i, int j, int component) {
    return pooled[((pad * TOUCH_CELLS + i) * TOUCH_CELLS + j) * TOUCH_COMPONENTS + component];
}

static void fill(int16_t value) {
    for (int i = 0; i < TOUCH_COUNTS; i++) counts[i] = value;
}

/* 5 rows and 6 1/4 columns per cell. */
static void check_sums(void) {
    fill(4);
    touch_pool(&touch, counts, scale, pooled);
    for (int e = 0; e < TOUCH_SIZE; e++) CHECK_NEAR(pooled[e], 4 * 31.25 * (double)scale[e % 3], 0);
    fill(0);
    taxel(1, 5, 12)[0] = 8, taxel(1, 5, 12)[2] = -8; /* columns 12 to 13, the border at 12.5; row 5 begins a cell */
    touch_pool(&touch, counts, scale, pooled);
    CHECK(cell(1, 1, 1, 0) == 2.0f && cell(1, 1, 2, 0) == 2.0f);
    CHECK(cell(1, 1, 1, 2) == -8.0f && cell(1, 1, 2, 2) == -8.0f && cell(1, 1, 1, 1) == 0.0f);
    float sum = 0;
    for (int e = 0; e < TOUCH_SIZE; e++) sum += pooled[e] * pooled[e];
    CHECK(sum == 2 * 4.0f + 2 * 64.0f);
    fill(INT16_MIN);
    touch_pool(&touch, counts, scale, pooled);
    CHECK_NEAR(cell(0, 3, 3, 0), -32768 * 31.25 * 0.5, 0.5);
}

static void check_tare(void) {
    for (int frame = 0; frame < TOUCH_TARE_FRAMES; frame++) {
        fill((int16_t)(100 + (frame % 2)));
        touch_pool(&touch, counts, scale, pooled);
        CHECK(cell(0, 0, 0, 0) > 1000.0f); /* not before it is complete */
        CHECK(touch_tare(&touch, counts) == (frame == TOUCH_TARE_FRAMES - 1));
    }
    fill(101);
    touch_pool(&touch, counts, scale, pooled);
    CHECK(cell(1, 3, 3, 0) == 0.5f * 31.25f * 0.5f); /* half a count above the mean of 100.5 */
    fill(7);
    CHECK(touch_tare(&touch, counts) == 1);
    touch_pool(&touch, counts, scale, pooled);
    CHECK(cell(0, 2, 0, 0) == -93.5f * 31.25f * 0.5f);
    touch_clear(&touch);
    touch_pool(&touch, counts, scale, pooled);
    CHECK(cell(0, 2, 0, 0) == 7 * 31.25f * 0.5f);
}

static void check_quantise(void) {
    CHECK(touch_quantise(0.1f, 100.0f, 511) == 10);
    CHECK(touch_quantise(2.5f, 1.0f, 511) == 2 && touch_quantise(3.5f, 1.0f, 511) == 4); /* half to even */
    CHECK(touch_quantise(-2.5f, 1.0f, 511) == -2 && touch_quantise(-2.6f, 1.0f, 511) == -3);
    CHECK(touch_quantise(1e30f, 1.0f, 511) == 511 && touch_quantise(-1e30f, 1.0f, 511) == -511);
    CHECK(touch_quantise(1e38f, 1e38f, 2047) == 2047 && touch_quantise(0.0f, (float)INFINITY, 2047) == 0);
    CHECK(touch_quantise(NAN, 1.0f, 511) == 0);
}

int main(void) {
    touch_clear(&touch);
    check_sums();
    check_tare();
    check_quantise();
    return check_result();
}
