/* actor_weights.h: the flat parameter vector (order of fledge_sim.policy.weight_shapes) to packed matrices, and the
 * weight gradient back into the flat order. */
#ifndef FLEDGE_ACTOR_WEIGHTS_H
#define FLEDGE_ACTOR_WEIGHTS_H

#include "actor.h"

/* Packs columns first .. first + inputs of a row-major weight (outputs, stride); returns the floats used. */
static inline int pack(struct matrix *m, const float *weight, int stride, int first, int inputs, int outputs,
                       float scale, float *memory) {
    float *forward = memory, *reverse = memory + inputs * padded(outputs);
    const int used = inputs * padded(outputs) + outputs * padded(inputs);
    for (int i = 0; i < used; i++) memory[i] = 0;
    for (int o = 0; o < outputs; o++)
        for (int i = 0; i < inputs; i++) {
            const float w = scale * weight[o * stride + first + i];
            forward[i * padded(outputs) + o] = w, reverse[o * padded(inputs) + i] = w;
        }
    *m = (struct matrix){.inputs = inputs, .outputs = outputs, .forward = forward, .reverse = reverse};
    return used;
}

/* First layer or gates: observed and history columns of one weight. */
static inline int pack_input(struct actor *a, const float *weight, int outputs, float history_scale, float *memory) {
    const int stride = actor_inputs(&a->shape), history = 4 * a->shape.history;
    const int observed = learner_observed(&a->shape);
    const int used = pack(&a->observed, weight, stride, 0, observed, outputs, 1, memory);
    return used + pack(&a->history, weight, stride, observed, history, outputs, history_scale, memory + used);
}

static inline void actor_pack(struct actor *a, const struct learner_network *shape, const float *parameter,
                              float history_scale, float *memory) {
    a->shape = *shape;
    const int h = shape->hidden[0], inputs = actor_inputs(shape), top = shape->hidden[shape->layers - 1];
    if (shape->kind == LEARNER_GRU) {
        memory += pack_input(a, parameter, 3 * h, history_scale, memory);
        parameter += 3 * h * inputs;
        memory += pack(&a->recurrent, parameter, h, 0, h, 3 * h, 1, memory);
        parameter += 3 * h * h;
        a->bias[0] = parameter, a->bias_recurrent = parameter + 3 * h;
        parameter += 6 * h;
    } else {
        memory += pack_input(a, parameter, h, history_scale, memory);
        parameter += h * inputs;
        for (int l = 0; l < shape->layers; l++) {
            const int size = shape->hidden[l];
            if (l > 0) {
                const int below = shape->hidden[l - 1];
                memory += pack(&a->dense[l], parameter, below, 0, below, size, 1, memory);
                parameter += size * below;
            }
            a->bias[l] = parameter;
            parameter += size;
        }
    }
    pack(&a->output, parameter, top, 0, top, 4, 1, memory);
    a->bias_output = parameter + 4 * top;
}

/* Gradient of the first layer's weight; bar: adjoint before its activation. window: first past action seen at step 0.
 */
static inline float *gradient_input(const struct actor *a, const struct actor_trace *trace, const real *window,
                                    struct rows bar, int outputs, int steps, float history_scale, float *gradient) {
    const int inputs = actor_inputs(&a->shape), observed = learner_observed(&a->shape);
    const struct rows input = {trace->input, input_stride(&a->shape)};
    contract(bar, outputs, input, observed, steps, 1, gradient, inputs);
    contract(bar, outputs, (struct rows){window, 4}, 4 * a->shape.history, steps, history_scale, gradient + observed,
             inputs);
    return gradient + outputs * inputs;
}

static inline float *gradient_gru(const struct actor *a, const struct actor_trace *trace, const real *window, int steps,
                                  float history_scale, float *gradient) {
    const int h = a->shape.hidden[0];
    const struct rows bar = {trace->gates_bar, 4 * h}, last = {trace->gates_bar + 3 * h, 4 * h};
    const struct rows state = {trace->layer[0], h};
    gradient = gradient_input(a, trace, window, bar, 3 * h, steps, history_scale, gradient);
    contract(bar, 2 * h, state, h, steps, 1, gradient, h);
    contract(last, h, state, h, steps, 1, gradient + 2 * h * h, h);
    gradient += 3 * h * h;
    contract_bias(bar, 3 * h, steps, gradient);
    contract_bias(bar, 2 * h, steps, gradient + 3 * h);
    contract_bias(last, h, steps, gradient + 5 * h);
    return gradient + 6 * h;
}

static inline float *gradient_mlp(const struct actor *a, const struct actor_trace *trace, const real *window, int steps,
                                  float history_scale, float *gradient) {
    for (int l = 0; l < a->shape.layers; l++) {
        const int size = a->shape.hidden[l];
        const struct rows bar = {trace->layer_bar[l], size};
        if (l == 0) {
            gradient = gradient_input(a, trace, window, bar, size, steps, history_scale, gradient);
        } else {
            const int below = a->shape.hidden[l - 1];
            contract(bar, size, (struct rows){trace->layer[l - 1], below}, below, steps, 1, gradient, below);
            gradient += size * below;
        }
        contract_bias(bar, size, steps, gradient);
        gradient += size;
    }
    return gradient;
}

/* Adds one block's weight gradient, after the reverse sweep has left all adjoints in the trace. */
static inline void actor_gradient(const struct actor *a, const struct actor_trace *trace, const real *window, int steps,
                                  float history_scale, float *gradient) {
    const int top = a->shape.hidden[a->shape.layers - 1];
    const struct rows bar = {trace->output_bar, OUTPUT_STRIDE};
    if (a->shape.kind == LEARNER_GRU)
        gradient = gradient_gru(a, trace, window, steps, history_scale, gradient);
    else
        gradient = gradient_mlp(a, trace, window, steps, history_scale, gradient);
    contract(bar, 4, (struct rows){actor_top(a, trace, 0), top}, top, steps, 1, gradient, top);
    contract_bias(bar, 4, steps, gradient + 4 * top);
}

#endif
