/* dense_variant.c: batched dense networks for one instruction set; FLEDGE_VARIANT and REAL_LANES come from CMake. */
#include "dense_variant.h"

#include <math.h>

#include "activation.h"
#include "dense_product.h"
#include "sum.h"

DENSE_DECLARE(FLEDGE_VARIANT)
#define VARIANT(name) DENSE_JOIN(name, FLEDGE_VARIANT)

_Static_assert(DENSE_GRANULE % REAL_LANES == 0, "padded rows hold whole vectors");

static inline real *vectors(float *data) { return (real *)(void *)data; }

/* ---- forward -------------------------------------------------------------------------------------------------------
 */

/* y = x (27 + x^2) / (27 + 9 x^2) for x clipped to +-3. As in the paper's code its slope is taken to be 1 - y^2, as
 * that of tanh is; its own, (9 - x^2)^2 / (9 (3 + x^2)^2), is larger: 1.8 times at x = 2. */
static inline void fast_tanh(real *x, real *slope) {
    const real c = real_clip(*x, real_splat(-3), real_splat(3)), s = c * c;
    *x = c * (27 + s) / (27 + 9 * s);
    *slope = 1 - *x * *x;
}

/* In place: sums become activations, and their slopes are left beside. */
static void activate(int32_t kind, int64_t count, real *x, real *slope) {
    for (int64_t i = 0; i < count; i++) {
        if (kind == DENSE_TANH) {
            x[i] = rational_tanh(x[i]);
            slope[i] = 1 - x[i] * x[i];
        } else if (kind == DENSE_FAST_TANH) {
            fast_tanh(&x[i], &slope[i]);
        } else if (kind == DENSE_RELU) {
            slope[i] = real_select(real_greater(x[i], real_splat(0)), real_splat(1), real_splat(0));
            x[i] *= slope[i];
        }
    }
}

static inline int32_t activation_of(const struct dense_network *net, int l) {
    return l + 1 < net->layers ? net->hidden : net->output;
}

/* What layer l sees. */
static struct product_left input_of(const struct dense_network *net, const struct dense_batch *in, const float *trace,
                                    int l) {
    if (l == 0) return (struct product_left){in->data, in->row, in->column};
    const int64_t width = dense_padded(net->sizes[l]);
    return (struct product_left){trace + dense_trace_offset(net, in->samples, l - 1), width, 1};
}

void VARIANT(dense_forward)(const struct dense_network *net, const struct dense_batch *in, float *trace) {
    for (int l = 0; l < net->layers; l++) {
        const int64_t width = dense_padded(net->sizes[l + 1]), inputs = net->sizes[l], samples = in->samples;
        const float *weight = net->parameter + dense_offset(net, l);
        float *out = trace + dense_trace_offset(net, samples, l);
        product(input_of(net, in, trace, l), samples, inputs, (struct product_right){weight, width}, width,
                weight + inputs * width, out, width);
        activate(activation_of(net, l), samples * width / REAL_LANES, vectors(out), vectors(out + samples * width));
    }
}

/* Outputs [samples][padded] without a trace, a block of samples after the other, so that all of it stays in cache. */
void VARIANT(dense_infer)(const struct dense_network *net, const struct dense_batch *in, float *out, float *scratch) {
    const int64_t widest = dense_widest(net), outputs = dense_padded(net->sizes[net->layers]);
    float *const slope = scratch + 2 * DENSE_BLOCK * widest;
    for (int64_t first = 0; first < in->samples; first += DENSE_BLOCK) {
        const int64_t left = in->samples - first, samples = left < DENSE_BLOCK ? left : DENSE_BLOCK;
        struct product_left seen = {in->data + first * in->row, in->row, in->column};
        for (int l = 0; l < net->layers; l++) {
            const int64_t inputs = net->sizes[l], width = dense_padded(net->sizes[l + 1]);
            const float *weight = net->parameter + dense_offset(net, l);
            float *to = l + 1 < net->layers ? scratch + (l % 2) * DENSE_BLOCK * widest : out + first * outputs;
            product(seen, samples, inputs, (struct product_right){weight, width}, width, weight + inputs * width, to,
                    width);
            activate(activation_of(net, l), samples * width / REAL_LANES, vectors(to), vectors(slope));
            seen = (struct product_left){to, width, 1};
        }
    }
}

/* ---- reverse -------------------------------------------------------------------------------------------------------
 */

/* Adjoint of the last layer's sums, in place of its slopes. */
static void begin_reverse(const struct dense_network *net, int64_t samples, float *trace, const float *output_bar) {
    const int last = net->layers - 1, outputs = net->sizes[net->layers];
    const int64_t width = dense_padded(outputs);
    float *bar = trace + dense_trace_offset(net, samples, last) + samples * width;
    for (int64_t r = 0; r < samples; r++)
        for (int64_t o = 0; o < width; o++) {
            const float slope = net->output == DENSE_LINEAR ? 1.0f : bar[r * width + o];
            bar[r * width + o] = o < outputs ? slope * output_bar[r * outputs + o] : 0.0f;
        }
}

/* Weights of a layer with rows and columns exchanged, only inputs first..first + count: [outputs][padded(count)]. */
static void transpose(const float *weight, int64_t width, int64_t outputs, int64_t first, int64_t count, float *out) {
    const int64_t stride = dense_padded((int32_t)count);
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t i = 0; i < stride; i++) out[o * stride + i] = i < count ? weight[(first + i) * width + o] : 0.0f;
}

static void layer_gradient(struct product_left in, int64_t samples, int64_t inputs, int64_t width, const float *bar,
                           float *gradient) {
    const struct product_left across = {in.data, in.column, in.row};
    static const float one = 1.0f;
    const struct product_right right = {bar, width};
    product(across, inputs, samples, right, width, NULL, gradient, width);
    product((struct product_left){&one, 0, 0}, 1, samples, right, width, NULL, gradient + inputs * width, width);
}

/* The adjoint of layer l's sums goes to those of the layer below, in place of their slopes. */
static void layer_below(const struct dense_network *net, int64_t samples, int l, float *trace, const float *bar,
                        float *scratch) {
    const int64_t width = dense_padded(net->sizes[l + 1]), inputs = net->sizes[l], below = dense_padded(net->sizes[l]);
    float *slope = trace + dense_trace_offset(net, samples, l - 1) + samples * below;
    float *up = scratch + net->sizes[l + 1] * below;
    transpose(net->parameter + dense_offset(net, l), width, net->sizes[l + 1], 0, inputs, scratch);
    product((struct product_left){bar, width, 1}, samples, net->sizes[l + 1], (struct product_right){scratch, below},
            below, NULL, up, below);
    for (int64_t i = 0; i < samples * below / REAL_LANES; i++)
        vectors(slope)[i] = vectors(up)[i] * (net->hidden == DENSE_LINEAR ? real_splat(1) : vectors(slope)[i]);
}

static void to_input(const struct dense_network *net, int64_t samples, const float *bar,
                     const struct dense_reverse *reverse) {
    const int64_t width = dense_padded(net->sizes[1]), count = reverse->input_count;
    const int64_t padded_count = dense_padded((int32_t)count);
    float *up = reverse->scratch + net->sizes[1] * padded_count;
    transpose(net->parameter, width, net->sizes[1], reverse->input_first, count, reverse->scratch);
    product((struct product_left){bar, width, 1}, samples, net->sizes[1],
            (struct product_right){reverse->scratch, padded_count}, padded_count, NULL, up, padded_count);
    for (int64_t r = 0; r < samples; r++)
        for (int64_t i = 0; i < count; i++) reverse->input_bar[r * count + i] = up[r * padded_count + i];
}

void VARIANT(dense_backward)(const struct dense_network *net, const struct dense_batch *in, float *trace,
                             const struct dense_reverse *reverse) {
    const int64_t samples = in->samples;
    begin_reverse(net, samples, trace, reverse->output_bar);
    for (int l = net->layers - 1; l >= 0; l--) {
        const int64_t width = dense_padded(net->sizes[l + 1]);
        const float *bar = trace + dense_trace_offset(net, samples, l) + samples * width;
        if (reverse->gradient)
            layer_gradient(input_of(net, in, trace, l), samples, net->sizes[l], width, bar,
                           reverse->gradient + dense_offset(net, l));
        if (l > 0) layer_below(net, samples, l, trace, bar, reverse->scratch);
        if (l == 0 && reverse->input_bar) to_input(net, samples, bar, reverse);
    }
}

/* ---- parameters ----------------------------------------------------------------------------------------------------
 */

static float norm_of(const float *gradient, int64_t count) {
    double square = 0;
    for (int64_t i = 0; i < count; i += REAL_LANES) {
        const real g = product_load(gradient + i);
        square += (double)sum_lanes(g * g);
    }
    return (float)sqrt(square);
}

/* w -= decay w + rate m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon). A gradient that is not finite changes
 * nothing but the norm. */
void VARIANT(dense_adam_step)(const struct dense_network *net, const float *gradient, struct dense_adam *adam) {
    const int64_t count = dense_offset(net, net->layers);
    adam->norm = norm_of(gradient, count);
    if (!isfinite(adam->norm)) return;
    const float shrink = adam->clip > 0 && adam->norm > adam->clip ? adam->clip / adam->norm : 1.0f;
    const float rate = adam->rate / (1 - powf(adam->beta1, (float)adam->step));
    const float correction = 1 / (1 - powf(adam->beta2, (float)adam->step));
    for (int l = 0; l < net->layers; l++) {
        const int64_t first = dense_offset(net, l), end = dense_offset(net, l + 1);
        const int64_t bias = end - dense_padded(net->sizes[l + 1]);
        for (int64_t i = first; i < end; i += REAL_LANES) {
            real *w = vectors(net->parameter + i), *m = vectors(adam->moment + i);
            real *v = vectors(adam->moment + count + i);
            const real g = shrink * product_load(gradient + i);
            *m += (1 - adam->beta1) * (g - *m);
            *v += (1 - adam->beta2) * (g * g - *v);
            const float decay = i < bias ? adam->decay : 0.0f;
            *w -= decay * *w + rate * *m / (real_sqrt(*v * correction) + adam->epsilon);
        }
    }
}

/* to += share (from - to): Polyak's average. */
void VARIANT(dense_average)(const struct dense_network *from, const struct dense_network *to, float share) {
    const int64_t count = dense_offset(to, to->layers);
    for (int64_t i = 0; i < count; i += REAL_LANES) {
        real *target = vectors(to->parameter + i);
        *target += share * (product_load(from->parameter + i) - *target);
    }
}
