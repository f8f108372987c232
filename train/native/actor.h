/* actor.h: the policy network, forward for one step and in reverse, for an MLP or a GRU (fledge_sim/policy.py).
 *
 * Input: scaled observations, at will future references, and, at will, a window of past actions. The window is a view
 * into the trace of actions, so nothing is copied: its scale is folded into the packed weights.
 */
#ifndef FLEDGE_ACTOR_H
#define FLEDGE_ACTOR_H

#include "activation.h"
#include "learner.h"
#include "linear.h"

enum { INPUT_MAX = LEARNER_OBSERVED + LEARNER_AHEAD * LEARNER_AHEAD_MAX + TILE, OUTPUT_STRIDE = TILE };

struct actor {
    struct learner_network shape;
    struct matrix observed, history, recurrent; /* into the first layer or the gates */
    struct matrix dense[LEARNER_LAYERS_MAX];    /* dense[l] feeds hidden layer l; 0 unused */
    struct matrix output;
    const float *bias[LEARNER_LAYERS_MAX], *bias_output; /* of a GRU: in the order of the gates */
};

/* Everything one block of environments leaves behind in the forward pass and in reverse, per step. */
struct actor_trace {
    real *input;                         /* [input_stride] */
    real *layer[LEARNER_LAYERS_MAX];     /* [row_stride(hidden)], activations; for a GRU the state, one row more */
    real *layer_bar[LEARNER_LAYERS_MAX]; /* [row_stride(hidden)], adjoint before the activation; GRU: gates instead */
    real *gates;                         /* [row_stride(4 hidden)], see below */
    real *output_bar;                    /* [OUTPUT_STRIDE], before the tanh */
};

/* Gates of a GRU: candidate, reset, update, recurrent part of the candidate. So the input feeds the first three and the
 * recurrent state the last three. Activations going forward; in reverse, their adjoints before the activation. */

static inline int actor_inputs(const struct learner_network *n) { return learner_observed(n) + 4 * n->history; }
/* Odd, so that a column of a trace does not fall on a few sets of the cache. */
static inline int row_stride(int size) { return size | 1; }
static inline int input_stride(const struct learner_network *n) { return row_stride(learner_observed(n)); }

static inline void gru_forward(const struct actor *a, const struct actor_trace *trace, int t, const real *window) {
    const int h = a->shape.hidden[0];
    const real *input = trace->input + t * input_stride(&a->shape), *state = trace->layer[0] + t * row_stride(h);
    real *gate = trace->gates + t * row_stride(4 * h), *next = trace->layer[0] + (t + 1) * row_stride(h);
    struct term terms[] = {forward_term(&a->observed, input), forward_term(&a->history, window),
                           forward_term(&a->recurrent, state)};
    add_terms(terms, 2, a->bias[0], h, gate);
    for (int g = 1; g <= 3; g++) {
        terms[0].weight += h, terms[1].weight += h;
        if (g < 3)
            add_terms(terms, 3, a->bias[0] + g * h, h, gate + g * h);
        else
            add_terms(terms + 2, 1, a->bias[0] + g * h, h, gate + g * h);
        terms[2].weight += h;
    }
    apply_sigmoid(gate + h, 2 * h);
    for (int i = 0; i < h; i++) gate[i] += gate[h + i] * gate[3 * h + i];
    apply_tanh(gate, h);
    for (int i = 0; i < h; i++) next[i] = gate[i] + gate[2 * h + i] * (state[i] - gate[i]);
}

/* state_bar: adjoint of the next state on entry, of this state on return. */
static inline void gru_reverse(const struct actor *a, const struct actor_trace *trace, int t, real *state_bar) {
    const int h = a->shape.hidden[0];
    const real *state = trace->layer[0] + t * row_stride(h);
    real *gate = trace->gates + t * row_stride(4 * h);
    for (int i = 0; i < h; i++) {
        const real candidate = gate[i], reset = gate[h + i], update = gate[2 * h + i], up = state_bar[i];
        const real kept = up * update, candidate_bar = (up - kept) * (1 - candidate * candidate);
        const real reset_bar = candidate_bar * reset;
        gate[i] = candidate_bar;
        gate[h + i] = (reset_bar - reset_bar * reset) * gate[3 * h + i];
        gate[2 * h + i] = (kept - kept * update) * (state[i] - candidate);
        gate[3 * h + i] = reset_bar;
        state_bar[i] = kept;
    }
    multiply_reverse(&a->recurrent, gate + h, state_bar);
}

static inline void mlp_forward(const struct actor *a, const struct actor_trace *trace, int t, const real *window) {
    for (int l = 0; l < a->shape.layers; l++) {
        const int size = a->shape.hidden[l];
        real *out = trace->layer[l] + t * row_stride(size);
        if (l == 0) {
            const struct term terms[] = {forward_term(&a->observed, trace->input + t * input_stride(&a->shape)),
                                         forward_term(&a->history, window)};
            add_terms(terms, 2, a->bias[0], size, out);
        } else {
            const real *below = trace->layer[l - 1] + t * row_stride(a->shape.hidden[l - 1]);
            const struct term term = forward_term(&a->dense[l], below);
            add_terms(&term, 1, a->bias[l], size, out);
        }
        apply_tanh(out, size);
    }
}

/* up: adjoint of the last layer's activation, LEARNER_HIDDEN_MAX of it; overwritten. */
static inline void mlp_reverse(const struct actor *a, const struct actor_trace *trace, int t, real *up) {
    for (int l = a->shape.layers - 1; l >= 0; l--) {
        const int size = a->shape.hidden[l];
        const real *out = trace->layer[l] + t * row_stride(size);
        real *bar = trace->layer_bar[l] + t * row_stride(size);
        for (int i = 0; i < size; i++) bar[i] = up[i] * (1 - out[i] * out[i]);
        if (l == 0) return;
        for (int i = 0; i < a->shape.hidden[l - 1]; i++) up[i] = real_splat(0);
        multiply_reverse(&a->dense[l], bar, up);
    }
}

/* The last hidden activation after step t. */
static inline const real *actor_top(const struct actor *a, const struct actor_trace *trace, int t) {
    if (a->shape.kind == LEARNER_GRU) return trace->layer[0] + (t + 1) * row_stride(a->shape.hidden[0]);
    const int last = a->shape.layers - 1;
    return trace->layer[last] + t * row_stride(a->shape.hidden[last]);
}

static inline void actor_forward(const struct actor *a, const struct actor_trace *trace, int t, const real *window,
                                 real action[4]) {
    if (a->shape.kind == LEARNER_GRU)
        gru_forward(a, trace, t, window);
    else
        mlp_forward(a, trace, t, window);
    multiply_four(&a->output, a->bias_output, actor_top(a, trace, t), action);
    apply_tanh(action, 4);
}

/* action_bar: adjoint of the action. Adds to input_bar[input_stride] and to the window's adjoint; state_bar as in
 * gru_reverse (unused for an MLP). */
static inline void actor_reverse(const struct actor *a, const struct actor_trace *trace, int t, const real *action,
                                 const real *action_bar, real *state_bar, real *input_bar, real *window_bar) {
    real *output_bar = trace->output_bar + t * OUTPUT_STRIDE, up[LEARNER_HIDDEN_MAX];
    const real *bar;
    for (int i = 0; i < 4; i++) output_bar[i] = action_bar[i] * (1 - action[i] * action[i]);
    if (a->shape.kind == LEARNER_GRU) {
        multiply_reverse(&a->output, output_bar, state_bar);
        gru_reverse(a, trace, t, state_bar);
        bar = trace->gates + t * row_stride(4 * a->shape.hidden[0]);
    } else {
        for (int i = 0; i < a->shape.hidden[a->shape.layers - 1]; i++) up[i] = real_splat(0);
        multiply_reverse(&a->output, output_bar, up);
        mlp_reverse(a, trace, t, up);
        bar = trace->layer_bar[0] + t * row_stride(a->shape.hidden[0]);
    }
    multiply_reverse(&a->observed, bar, input_bar);
    multiply_reverse(&a->history, bar, window_bar);
}

#endif
