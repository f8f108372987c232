/* dense.c: C interface of the dense networks: picks the instruction set, gathers minibatches. */
#include "dense.h"

#include <stddef.h>
#include <string.h>

#include "dense_variant.h"
#include "processor.h"

#if defined(__x86_64__)
DENSE_DECLARE(avx512)
DENSE_DECLARE(avx2)
#endif
DENSE_DECLARE(baseline)

#define EXPORT __attribute__((visibility("default")))
EXPORT int32_t dense_abi(void);
EXPORT int64_t dense_size(int32_t which);
EXPORT int64_t dense_parameters(const struct dense_network *net);
EXPORT int64_t dense_trace(const struct dense_network *net, int64_t samples);
EXPORT int64_t dense_scratch(const struct dense_network *net, int64_t samples);
EXPORT void dense_forward(const struct dense_network *net, const struct dense_batch *in, float *trace);
EXPORT void dense_infer(const struct dense_network *net, const struct dense_batch *in, float *out, float *scratch);
EXPORT void dense_backward(const struct dense_network *net, const struct dense_batch *in, float *trace,
                           const struct dense_reverse *reverse);
EXPORT void dense_adam_step(const struct dense_network *net, const float *gradient, struct dense_adam *adam);
EXPORT void dense_average(const struct dense_network *from, const struct dense_network *to, float share);
EXPORT void dense_gather_rows(const struct dense_gather *part, int32_t parts, const int64_t *index, int64_t count);
EXPORT void dense_gather_history(const struct dense_history *h, const int64_t *index, int64_t count);

struct variant {
    void (*forward)(const struct dense_network *net, const struct dense_batch *in, float *trace);
    void (*infer)(const struct dense_network *net, const struct dense_batch *in, float *out, float *scratch);
    void (*backward)(const struct dense_network *net, const struct dense_batch *in, float *trace,
                     const struct dense_reverse *reverse);
    void (*adam)(const struct dense_network *net, const float *gradient, struct dense_adam *adam);
    void (*average)(const struct dense_network *from, const struct dense_network *to, float share);
};
#define VARIANT_ENTRY(isa)                                                                                             \
    {.forward = dense_forward_##isa,                                                                                   \
     .infer = dense_infer_##isa,                                                                                       \
     .backward = dense_backward_##isa,                                                                                 \
     .adam = dense_adam_step_##isa,                                                                                    \
     .average = dense_average_##isa}
static const struct variant variants[] = {
    [PROCESSOR_BASELINE] = VARIANT_ENTRY(baseline),
#if defined(__x86_64__)
    [PROCESSOR_AVX2] = VARIANT_ENTRY(avx2),
    [PROCESSOR_AVX512] = VARIANT_ENTRY(avx512),
#endif
};

static const struct variant *chosen(void) { return &variants[processor_chosen()]; }

int32_t dense_abi(void) { return DENSE_ABI; }

/* Sizes of the structs [bytes], so that dense.py can compare its own: network, batch, reverse, adam, gather, history.
 */
int64_t dense_size(int32_t which) {
    const size_t sizes[] = {sizeof(struct dense_network), sizeof(struct dense_batch),  sizeof(struct dense_reverse),
                            sizeof(struct dense_adam),    sizeof(struct dense_gather), sizeof(struct dense_history)};
    return which < 6 ? (int64_t)sizes[which] : -1;
}

int64_t dense_parameters(const struct dense_network *net) { return dense_offset(net, net->layers); }

int64_t dense_trace(const struct dense_network *net, int64_t samples) {
    return dense_trace_offset(net, samples, net->layers);
}

int64_t dense_scratch(const struct dense_network *net, int64_t samples) { return dense_scratch_floats(net, samples); }

void dense_forward(const struct dense_network *net, const struct dense_batch *in, float *trace) {
    chosen()->forward(net, in, trace);
}

void dense_infer(const struct dense_network *net, const struct dense_batch *in, float *out, float *scratch) {
    chosen()->infer(net, in, out, scratch);
}

void dense_backward(const struct dense_network *net, const struct dense_batch *in, float *trace,
                    const struct dense_reverse *reverse) {
    chosen()->backward(net, in, trace, reverse);
}

void dense_adam_step(const struct dense_network *net, const float *gradient, struct dense_adam *adam) {
    chosen()->adam(net, gradient, adam);
}

void dense_average(const struct dense_network *from, const struct dense_network *to, float share) {
    chosen()->average(from, to, share);
}

/* ---- replay --------------------------------------------------------------------------------------------------------
 */

enum { FETCH_AHEAD = 8 }; /* rows: a table of millions of rows lies outside the cache */

static void fetch(const float *row, int32_t width) {
    for (int32_t k = 0; k < width; k += DENSE_GRANULE) __builtin_prefetch(row + k);
}

void dense_gather_rows(const struct dense_gather *part, int32_t parts, const int64_t *index, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        for (int32_t k = 0; k < parts; k++) {
            const struct dense_gather *g = &part[k];
            if (i + FETCH_AHEAD < count) fetch(g->source + index[i + FETCH_AHEAD] * g->source_row, g->width);
            memcpy(g->out + i * g->out_row, g->source + index[i] * g->source_row, (size_t)g->width * sizeof(float));
        }
}

/* The newest `known` actions are there, in one run of the ring or, where it begins anew, in two. */
static void history_row(const struct dense_history *h, int64_t row, float *out) {
    const int64_t width = h->actions, age = h->age[row] + h->after, known = age < h->length ? age : h->length;
    const int64_t missing = (h->length - known) * width, world = row / h->slots * h->slots;
    const int64_t first = row - world + h->after - known, before = first < 0 ? -first : 0;
    const float *const ring = h->action + world * width, *const end = ring + h->slots * width;
    for (int64_t k = 0; k < missing; k++) out[k] = h->fill;
    memcpy(out + missing, end - before * width, (size_t)(before * width) * sizeof(float));
    memcpy(out + missing + before * width, ring + (first + before) * width,
           (size_t)((known - before) * width) * sizeof(float));
}

void dense_gather_history(const struct dense_history *h, const int64_t *index, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (i + FETCH_AHEAD < count) {
            const int64_t first = index[i + FETCH_AHEAD] - h->length;
            fetch(h->action + (first > 0 ? first : 0) * h->actions, h->length * h->actions);
        }
        history_row(h, index[i], h->out + i * h->out_row);
    }
}
