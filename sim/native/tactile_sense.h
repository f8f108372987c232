/* tactile_sense.h: what the sensors under the taxels make of the forces, and the cells of the policy's observation.
 *
 * Elements are the components of all taxels of a pad, e = 3 * taxel + component. docs/tactile.md, eq. 10 to 13; the
 * channels are those of fledge_sim/counter_random.py.
 */
#ifndef FLEDGE_TACTILE_SENSE_H
#define FLEDGE_TACTILE_SENSE_H

#include "counter_random.h"
#include "tactile.h"

enum { /* first channel of each quantity; pad p begins SENSE_PER_PAD farther on */
       SENSE_NOISE = 1000000,
       SENSE_GAIN = 1100000,
       SENSE_OFFSET = 1200000,
       SENSE_DEAD = 1300000,
       SENSE_PER_PAD = 12000
};
_Static_assert(SENSE_PER_PAD >= TACTILE_COMPONENTS * TACTILE_SIDE_MAX * TACTILE_SIDE_MAX, "pads share no channel");

/* Random words of REAL_LANES neighbouring channels. */
static inline real_bits sense_words(uint32_t key, int32_t channel) {
    static const uint32_t first_lanes[TACTILE_LANES_MAX] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    real_bits channels;
    memcpy(&channels, first_lanes, sizeof channels);
    return random_mix(key ^ ((channels + (uint32_t)channel) * 0x9e3779b9u));
}

/* A share of every force is felt by the four neighbours; what would cross the border stays. */
static inline void sense_blur_row(const float *row, const float *above, const float *below, int elements, float share,
                                  float *result) {
    enum { NEXT = TACTILE_COMPONENTS };
    const float part = 0.25f * share;
    for (int e = 0; e < elements; e++) result[e] = row[e] + part * (above[e] + below[e] - 2.0f * row[e]);
    for (int e = NEXT; e < elements; e++) result[e] += part * (row[e - NEXT] - row[e]);
    for (int e = 0; e < elements - NEXT; e++) result[e] += part * (row[e + NEXT] - row[e]);
}

static inline void sense_blur(const float *force, int rows, int elements, float share, float *result) {
    for (int row = 0; row < rows; row++) {
        const float *here = force + row * elements;
        sense_blur_row(here, row ? here - elements : here, row + 1 < rows ? here + elements : here, elements, share,
                       result + row * elements);
    }
}

/* Forces [N] of one block of elements to counts. */
static inline real sense_block(const struct tactile_sense_job *job, int64_t environment, int pad, int first, real x) {
    const uint32_t episode = job->episode_key[environment], step = job->step_key[environment];
    const int channel = pad * SENSE_PER_PAD + first;
    const real limit = real_splat((float)job->limit);
    real gain = real_splat(job->pad_gain[environment * job->pads + pad]);
    if (job->gain > 0) gain = gain * (1 + job->gain * random_normal(sense_words(episode, SENSE_GAIN + channel)));
    x = x * gain;
    if (job->offset > 0) x = x + job->offset * random_normal(sense_words(episode, SENSE_OFFSET + channel));
    if (job->noise > 0) x = x + job->noise * random_normal(sense_words(step, SENSE_NOISE + channel));
    if (job->dead > 0) {
        real_bits taxel;
        memcpy(&taxel, job->taxel + first, sizeof taxel);
        const real_bits channels = taxel + (uint32_t)(SENSE_DEAD + pad * SENSE_PER_PAD);
        const real chance = random_uniform(random_mix(episode ^ (channels * 0x9e3779b9u)));
        x = real_choose(real_splat(job->dead), chance, real_splat(0), x);
    }
    return real_round(real_clip(x * real_load(job->counts_per_newton + first), -limit, limit));
}

static inline void sense_pad(const struct tactile_sense_job *job, int64_t environment, int pad, const float *force,
                             int16_t *counts) {
    typedef int16_t sense_counts __attribute__((vector_size(2 * REAL_LANES)));
    const int elements = TACTILE_COMPONENTS * job->rows * job->columns;
    int first = 0;
    for (; first + REAL_LANES <= elements; first += REAL_LANES) {
        const real found = sense_block(job, environment, pad, first, real_load(force + first));
        const sense_counts whole = __builtin_convertvector(__builtin_convertvector(found, real_mask), sense_counts);
        memcpy(counts + first, &whole, sizeof whole);
    }
    float block[REAL_LANES] = {0};
    for (int e = first; e < elements; e++) block[e - first] = force[e];
    if (first < elements) real_store(block, sense_block(job, environment, pad, first, real_load(block)));
    for (int e = first; e < elements; e++) counts[e] = (int16_t)block[e - first];
}

/* Length of [low, low + size) within [0, end) from `from` on, in whole units. */
static inline int32_t sense_overlap(int32_t low, int32_t size, int32_t from, int32_t length) {
    const int32_t high = low + size < from + length ? low + size : from + length, begin = low > from ? low : from;
    return high > begin ? high - begin : 0;
}

/* Sums over the cells. A taxel is `cells` units long along each side, a cell as many units as there are taxels, so that
 * every overlap is whole and no sum is rounded. */
static inline void sense_pool_columns(const struct tactile_sense_job *job, const int32_t *row, float *pooled) {
    for (int j = 0; j < job->cells; j++) {
        int32_t sum[TACTILE_COMPONENTS] = {0};
        for (int column = j * job->columns / job->cells; column * job->cells < (j + 1) * job->columns; column++) {
            const int32_t weight = sense_overlap(column * job->cells, job->cells, j * job->columns, job->columns);
            for (int k = 0; k < TACTILE_COMPONENTS; k++) sum[k] += weight * row[TACTILE_COMPONENTS * column + k];
        }
        for (int k = 0; k < TACTILE_COMPONENTS; k++)
            pooled[TACTILE_COMPONENTS * j + k] = (float)sum[k] * job->newton_per_unit[k];
    }
}

static inline void sense_pool(const struct tactile_sense_job *job, const int16_t *counts, float *pooled) {
    const int side = job->cells, elements = TACTILE_COMPONENTS * job->columns;
    for (int i = 0; i < side; i++) {
        int32_t sum[TACTILE_COMPONENTS * TACTILE_SIDE_MAX] = {0};
        for (int row = i * job->rows / side; row * side < (i + 1) * job->rows; row++) {
            const int32_t weight = sense_overlap(row * side, side, i * job->rows, job->rows);
            for (int e = 0; e < elements; e++) sum[e] += weight * counts[row * elements + e];
        }
        sense_pool_columns(job, sum, pooled + TACTILE_COMPONENTS * side * i);
    }
}

static inline void sense_environment(const struct tactile_sense_job *job, int64_t environment) {
    enum { ELEMENTS_MAX = TACTILE_COMPONENTS * TACTILE_SIDE_MAX * TACTILE_SIDE_MAX };
    const int elements = TACTILE_COMPONENTS * job->rows * job->columns;
    const int cells = TACTILE_COMPONENTS * job->cells * job->cells;
    float blurred[ELEMENTS_MAX];
    for (int pad = 0; pad < job->pads; pad++) {
        const int64_t index = environment * job->pads + pad;
        const float *force = job->force + index * elements;
        const float share = job->cross_talk[environment];
        int16_t *counts = job->counts + index * elements;
        if (share > 0) sense_blur(force, job->rows, TACTILE_COMPONENTS * job->columns, share, blurred);
        sense_pad(job, environment, pad, share > 0 ? blurred : force, counts);
        sense_pool(job, counts, job->pooled + index * cells);
    }
}

#endif
