/* touch.h: counts of the taxels -> the policy's touch.
 *
 * Each pad is a grid of taxels with three components each: compression, shear along the finger, shear across. A cell of
 * the observation is the sum over a quarter of each side; a taxel on its border is divided by area, in whole numbers,
 * so that no sum is rounded before the last step. fledge_sim/tactile_sensor.py is the readable text, bit for bit.
 */
#ifndef FLEDGE_TOUCH_H
#define FLEDGE_TOUCH_H

#include <stdint.h>

enum {
    TOUCH_PADS = 2,
    TOUCH_ROWS = 20,    /* across the finger */
    TOUCH_COLUMNS = 25, /* along it */
    TOUCH_COMPONENTS = 3,
    TOUCH_CELLS = 4, /* along each side */
    TOUCH_COUNTS = TOUCH_PADS * TOUCH_ROWS * TOUCH_COLUMNS * TOUCH_COMPONENTS,
    TOUCH_SIZE = TOUCH_PADS * TOUCH_CELLS * TOUCH_CELLS * TOUCH_COMPONENTS,
    TOUCH_TARE_FRAMES = 16
};

struct touch {
    int32_t zero[TOUCH_COUNTS]; /* sum of the counts of TOUCH_TARE_FRAMES frames without contact */
    int32_t frames;             /* taken so far */
};

/* Forgets the zero point; as it is, all counts are taken at their word. */
void touch_clear(struct touch *touch);

/* Takes one frame without contact: returns 1 once there are enough, and then changes nothing any more. */
int touch_tare(struct touch *touch, const int16_t counts[TOUCH_COUNTS]);

/* Nearest count, half to even, at most `limit`; 0 of what is not a number. */
int16_t touch_quantise(float newton, float counts_per_newton, int16_t limit);

/* Sums over cells [N], pad by pad, row of cells by row. A zero point that is not complete is not used. */
void touch_pool(const struct touch *touch, const int16_t counts[TOUCH_COUNTS],
                const float newton_per_count[TOUCH_COMPONENTS], float pooled[TOUCH_SIZE]);

#endif
