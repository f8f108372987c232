/* dense_variant.h: names of what each instruction set's build of dense_variant.c provides. */
#ifndef FLEDGE_DENSE_VARIANT_H
#define FLEDGE_DENSE_VARIANT_H

#include "dense.h"

#define DENSE_JOIN_(name, isa) name##_##isa
#define DENSE_JOIN(name, isa) DENSE_JOIN_(name, isa)
#define DENSE_DECLARE(isa)                                                                                             \
    void DENSE_JOIN(dense_forward, isa)(const struct dense_network *net, const struct dense_batch *in, float *trace);  \
    void DENSE_JOIN(dense_infer, isa)(const struct dense_network *net, const struct dense_batch *in, float *out,       \
                                      float *scratch);                                                                 \
    void DENSE_JOIN(dense_backward, isa)(const struct dense_network *net, const struct dense_batch *in, float *trace,  \
                                         const struct dense_reverse *reverse);                                         \
    void DENSE_JOIN(dense_adam_step, isa)(const struct dense_network *net, const float *gradient,                      \
                                          struct dense_adam *adam);                                                    \
    void DENSE_JOIN(dense_average, isa)(const struct dense_network *from, const struct dense_network *to, float share);

/* First float of layer l's weights. */
static inline int64_t dense_offset(const struct dense_network *net, int l) {
    int64_t offset = 0;
    for (int i = 0; i < l; i++) offset += (int64_t)(net->sizes[i] + 1) * dense_padded(net->sizes[i + 1]);
    return offset;
}

/* A trace holds per layer the activations [samples][padded], then their slopes, which the reverse sweep turns into
 * adjoints; this is the first float of layer l's. */
static inline int64_t dense_trace_offset(const struct dense_network *net, int64_t samples, int l) {
    int64_t offset = 0;
    for (int i = 0; i < l; i++) offset += 2 * samples * dense_padded(net->sizes[i + 1]);
    return offset;
}

enum { DENSE_BLOCK = 48 }; /* samples that inference takes through all layers at once */

/* Columns of the widest layer. */
static inline int64_t dense_widest(const struct dense_network *net) {
    int32_t widest = 0;
    for (int l = 1; l <= net->layers; l++) widest = net->sizes[l] > widest ? net->sizes[l] : widest;
    return dense_padded(widest);
}

/* Transposed weights of one layer, and a panel of adjoints; or two layers of a block and their slopes. */
static inline int64_t dense_scratch_floats(const struct dense_network *net, int64_t samples) {
    int64_t most = 3 * DENSE_BLOCK * dense_widest(net);
    for (int l = 0; l < net->layers; l++) {
        const int64_t inputs = dense_padded(net->sizes[l]);
        const int64_t need = (net->sizes[l + 1] + samples) * inputs;
        most = need > most ? need : most;
    }
    return most;
}

#endif
