/* actor_weights.h: the flat parameter vector (order of fledge_sim.policy.weight_shapes) to packed matrices, and the
 * weight gradient back into the flat order. */
#ifndef FLEDGE_ACTOR_WEIGHTS_H
#define FLEDGE_ACTOR_WEIGHTS_H

#include "actor.h"

/* Columns first .. first + inputs of a row-major weight, its rows turned: output o is row (o + turn) mod outputs. */
struct part {
    const float *weight;
    int stride, first, inputs, outputs, turn;
    float scale;
};

/* Packs it; returns the floats used. */
static inline int pack(struct matrix *m, const struct part *from, float *memory) {
    const int inputs = from->inputs, outputs = from->outputs;
    float *forward = memory, *reverse = memory + inputs * padded(outputs);
    const int used = inputs * padded(outputs) + outputs * padded(inputs);
    for (int i = 0; i < used; i++) memory[i] = 0;
    for (int o = 0; o < outputs; o++) {
        const float *row = from->weight + (o + from->turn) % outputs * from->stride + from->first;
        for (int i = 0; i < inputs; i++) {
            const float w = from->scale * row[i];
            forward[i * padded(outputs) + o] = w, reverse[o * padded(inputs) + i] = w;
        }
    }
    *m = (struct matrix){.inputs = inputs, .outputs = outputs, .forward = forward, .reverse = reverse};
    return used;
}

static inline int pack_whole(struct matrix *m, const float *weight, int inputs, int outputs, float *memory) {
    const struct part part = {.weight = weight, .stride = inputs, .inputs = inputs, .outputs = outputs, .scale = 1};
    return pack(m, &part, memory);
}

/* First layer or gates: observed and history columns of one weight. */
static inline int pack_input(struct actor *a, const float *weight, int outputs, int turn, float history_scale,
                             float *memory) {
    const int observed = learner_observed(&a->shape);
    struct part part = {.weight = weight, .stride = actor_inputs(&a->shape), .outputs = outputs, .turn = turn};
    part.inputs = observed, part.scale = 1;
    const int used = pack(&a->observed, &part, memory);
    part.first = observed, part.inputs = 4 * a->shape.history, part.scale = history_scale;
    return used + pack(&a->history, &part, memory + used);
}

/* Biases of input and recurrent state in the order of the gates. */
static inline void pack_bias_gru(struct actor *a, const float *input, const float *recurrent, float *memory) {
    const int h = a->shape.hidden[0];
    for (int i = 0; i < h; i++) {
        memory[i] = input[2 * h + i];
        memory[h + i] = input[i] + recurrent[i];
        memory[2 * h + i] = input[h + i] + recurrent[h + i];
        memory[3 * h + i] = recurrent[2 * h + i];
    }
    a->bias[0] = memory;
}

static inline void actor_pack(struct actor *a, const struct learner_network *shape, const float *parameter,
                              float history_scale, float *memory) {
    a->shape = *shape;
    const int h = shape->hidden[0], inputs = actor_inputs(shape), top = shape->hidden[shape->layers - 1];
    if (shape->kind == LEARNER_GRU) {
        memory += pack_input(a, parameter, 3 * h, 2 * h, history_scale, memory);
        parameter += 3 * h * inputs;
        memory += pack_whole(&a->recurrent, parameter, h, 3 * h, memory);
        parameter += 3 * h * h;
        pack_bias_gru(a, parameter, parameter + 3 * h, memory);
        memory += 4 * h, parameter += 6 * h;
    } else {
        memory += pack_input(a, parameter, h, 0, history_scale, memory);
        parameter += h * inputs;
        for (int l = 0; l < shape->layers; l++) {
            const int size = shape->hidden[l];
            if (l > 0) {
                const int below = shape->hidden[l - 1];
                memory += pack_whole(&a->dense[l], parameter, below, size, memory);
                parameter += size * below;
            }
            a->bias[l] = parameter;
            parameter += size;
        }
    }
    pack_whole(&a->output, parameter, top, 4, memory);
    a->bias_output = parameter + 4 * top;
}

/* Part of a horizon over which the weight gradient is taken at once. */
struct span {
    int first, steps;
};

/* Gradient of the first layer's weight; bar: adjoint before its activation. window: first past action seen at step 0.
 */
static inline void gradient_input(const struct actor *a, const struct actor_trace *trace, const real *window,
                                  struct rows bar, int outputs, struct span span, float history_scale,
                                  float *gradient) {
    const int inputs = actor_inputs(&a->shape), observed = learner_observed(&a->shape);
    const struct rows input = rows_from(trace->input, input_stride(&a->shape), span.first);
    const struct rows history = rows_from(window, 4, span.first);
    contract(bar, outputs, input, observed, span.steps, 1, gradient, inputs);
    contract(bar, outputs, history, 4 * a->shape.history, span.steps, history_scale, gradient + observed, inputs);
}

static inline float *gradient_gru(const struct actor *a, const struct actor_trace *trace, const real *window,
                                  struct span span, float history_scale, float *gradient) {
    const int h = a->shape.hidden[0], inputs = actor_inputs(&a->shape), stride = row_stride(4 * h);
    const struct rows candidate = rows_from(trace->gates, stride, span.first);
    const struct rows others = rows_from(trace->gates + h, stride, span.first);
    const struct rows state = rows_from(trace->layer[0], row_stride(h), span.first);
    gradient_input(a, trace, window, others, 2 * h, span, history_scale, gradient);
    gradient_input(a, trace, window, candidate, h, span, history_scale, gradient + 2 * h * inputs);
    gradient += 3 * h * inputs;
    contract(others, 3 * h, state, h, span.steps, 1, gradient, h);
    gradient += 3 * h * h;
    contract_bias(others, 3 * h, span.steps, gradient + 3 * h);
    contract_bias(candidate, h, span.steps, gradient + 2 * h);
    for (int i = 0; i < 2 * h; i++) gradient[i] = gradient[3 * h + i]; /* reset and update have two biases alike */
    return gradient + 6 * h;
}

static inline float *gradient_mlp(const struct actor *a, const struct actor_trace *trace, const real *window,
                                  struct span span, float history_scale, float *gradient) {
    for (int l = 0; l < a->shape.layers; l++) {
        const int size = a->shape.hidden[l];
        const struct rows bar = rows_from(trace->layer_bar[l], row_stride(size), span.first);
        if (l == 0) {
            gradient_input(a, trace, window, bar, size, span, history_scale, gradient);
            gradient += size * actor_inputs(&a->shape);
        } else {
            const int below = a->shape.hidden[l - 1];
            const struct rows in = rows_from(trace->layer[l - 1], row_stride(below), span.first);
            contract(bar, size, in, below, span.steps, 1, gradient, below);
            gradient += size * below;
        }
        contract_bias(bar, size, span.steps, gradient);
        gradient += size;
    }
    return gradient;
}

/* Adds one block's weight gradient, after the reverse sweep has left all adjoints of the span in the trace. */
static inline void actor_gradient(const struct actor *a, const struct actor_trace *trace, const real *window,
                                  struct span span, float history_scale, float *gradient) {
    const int top = a->shape.hidden[a->shape.layers - 1];
    const struct rows bar = rows_from(trace->output_bar, OUTPUT_STRIDE, span.first);
    if (a->shape.kind == LEARNER_GRU)
        gradient = gradient_gru(a, trace, window, span, history_scale, gradient);
    else
        gradient = gradient_mlp(a, trace, window, span, history_scale, gradient);
    contract(bar, 4, (struct rows){actor_top(a, trace, span.first), row_stride(top)}, top, span.steps, 1, gradient,
             top);
    contract_bias(bar, 4, span.steps, gradient + 4 * top);
}

#endif
