/* adam.h: the step that follows a sweep. Plain loops; each instruction set's compiler makes vectors of them. */
#ifndef FLEDGE_ADAM_H
#define FLEDGE_ADAM_H

#include <math.h>

#include "learner.h"

enum { NORM_PARTS = 16 }; /* sums of their own, so that none waits for itself */

static inline double norm_of(const float *x, int32_t count) {
    double part[NORM_PARTS] = {0}, square = 0;
    int32_t i = 0;
    for (; i + NORM_PARTS <= count; i += NORM_PARTS)
        for (int k = 0; k < NORM_PARTS; k++) part[k] += (double)x[i + k] * (double)x[i + k];
    for (; i < count; i++) square += (double)x[i] * (double)x[i];
    for (int k = 0; k < NORM_PARTS; k++) square += part[k];
    return sqrt(square);
}

/* Global norm clipped, then Adam with bias correction. A gradient that is not finite changes nothing but the report. */
static inline void adam_step(struct learner_problem *p, int32_t count) {
    const struct learner_adam *a = &p->adam;
    const float *gradient = p->gradient;
    float *restrict first = p->moment, *restrict second = p->moment + count, *restrict parameter = p->parameter;
    const float norm = (float)norm_of(gradient, count);
    p->report.gradient_norm = norm;
    if (!isfinite(norm)) return;
    const float shrink = norm > a->clip ? a->clip / norm : 1.0f;
    const float rate = a->rate / (1 - powf(a->beta1, (float)a->step));
    const float correction = 1 / (1 - powf(a->beta2, (float)a->step));
    const float keep1 = 1 - a->beta1, keep2 = 1 - a->beta2, epsilon = a->epsilon;
    for (int32_t i = 0; i < count; i++) {
        const float g = shrink * gradient[i];
        first[i] += keep1 * (g - first[i]);
        second[i] += keep2 * (g * g - second[i]);
        parameter[i] -= rate * first[i] / (sqrtf(second[i] * correction) + epsilon);
    }
}

#endif
