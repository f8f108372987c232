/* actor.h: the policy network, forward for one step and in reverse, for an MLP or a GRU (fledge_sim/policy.py).
 *
 * Input: scaled observations, at will future references, and, at will, a window of past actions. The window is a view
 * into the trace of actions, so nothing is copied: its scale is folded into the packed weights.
 */
#ifndef FLEDGE_ACTOR_H
#define FLEDGE_ACTOR_H

#include "learner.h"
#include "linear.h"

enum { INPUT_MAX = LEARNER_OBSERVED + LEARNER_AHEAD * LEARNER_AHEAD_MAX + TILE, OUTPUT_STRIDE = TILE };

struct actor {
    struct learner_network shape;
    struct matrix observed, history, recurrent; /* into the first layer or the gates */
    struct matrix dense[LEARNER_LAYERS_MAX];    /* dense[l] feeds hidden layer l; 0 unused */
    struct matrix output;
    const float *bias[LEARNER_LAYERS_MAX], *bias_recurrent, *bias_output;
};

/* Everything one block of environments leaves behind in the forward pass and in reverse, per step. */
struct actor_trace {
    real *input;                         /* [input_stride] */
    real *layer[LEARNER_LAYERS_MAX];     /* [hidden], activations; for a GRU the state, one row more */
    real *layer_bar[LEARNER_LAYERS_MAX]; /* [hidden], adjoint before the activation; GRU: gates_bar instead */
    real *gates;                         /* [4 hidden]: reset, update, candidate, recurrent part of the candidate */
    real *gates_bar;                     /* [4 hidden]: reset, update, candidate, recurrent part, before activation */
    real *output_bar;                    /* [OUTPUT_STRIDE], before the tanh */
};

static inline int actor_inputs(const struct learner_network *n) { return learner_observed(n) + 4 * n->history; }
static inline int input_stride(const struct learner_network *n) { return padded(learner_observed(n)); }

static inline void start_from(const float *bias, int size, real *out) {
    for (int i = 0; i < size; i++) out[i] = real_splat(bias[i]);
    for (int i = size; i < padded(size); i++) out[i] = real_splat(0);
}

static inline void gru_forward(const struct actor *a, const struct actor_trace *trace, int t, const real *window) {
    const int h = a->shape.hidden[0];
    const real *state = trace->layer[0] + t * h;
    real *gate = trace->gates + t * 4 * h, *next = trace->layer[0] + (t + 1) * h;
    real recurrent[3 * LEARNER_HIDDEN_MAX];
    start_from(a->bias[0], 3 * h, gate);
    start_from(a->bias_recurrent, 3 * h, recurrent);
    multiply(&a->observed, trace->input + t * input_stride(&a->shape), gate);
    multiply(&a->history, window, gate);
    multiply(&a->recurrent, state, recurrent);
    for (int i = 0; i < h; i++) {
        const real reset = rational_sigmoid(gate[i] + recurrent[i]);
        const real update = rational_sigmoid(gate[h + i] + recurrent[h + i]);
        const real candidate = rational_tanh(gate[2 * h + i] + reset * recurrent[2 * h + i]);
        gate[i] = reset, gate[h + i] = update, gate[2 * h + i] = candidate, gate[3 * h + i] = recurrent[2 * h + i];
        next[i] = candidate + update * (state[i] - candidate);
    }
}

/* state_bar: adjoint of the next state on entry, of this state on return. */
static inline void gru_reverse(const struct actor *a, const struct actor_trace *trace, int t, real *state_bar) {
    const int h = a->shape.hidden[0];
    const real *gate = trace->gates + t * 4 * h, *state = trace->layer[0] + t * h;
    real *bar = trace->gates_bar + t * 4 * h;
    real recurrent_bar[3 * LEARNER_HIDDEN_MAX];
    for (int i = 0; i < h; i++) {
        const real reset = gate[i], update = gate[h + i], candidate = gate[2 * h + i], up = state_bar[i];
        const real candidate_bar = up * (1 - update) * (1 - candidate * candidate);
        bar[i] = candidate_bar * gate[3 * h + i] * reset * (1 - reset);
        bar[h + i] = up * (state[i] - candidate) * update * (1 - update);
        bar[2 * h + i] = candidate_bar;
        bar[3 * h + i] = candidate_bar * reset;
        recurrent_bar[i] = bar[i], recurrent_bar[h + i] = bar[h + i], recurrent_bar[2 * h + i] = bar[3 * h + i];
        state_bar[i] = up * update;
    }
    multiply_reverse(&a->recurrent, recurrent_bar, state_bar);
}

static inline void mlp_forward(const struct actor *a, const struct actor_trace *trace, int t, const real *window) {
    for (int l = 0; l < a->shape.layers; l++) {
        const int size = a->shape.hidden[l];
        real *out = trace->layer[l] + t * size;
        start_from(a->bias[l], size, out);
        if (l == 0) {
            multiply(&a->observed, trace->input + t * input_stride(&a->shape), out);
            multiply(&a->history, window, out);
        } else {
            multiply(&a->dense[l], trace->layer[l - 1] + t * a->shape.hidden[l - 1], out);
        }
        for (int i = 0; i < size; i++) out[i] = rational_tanh(out[i]);
    }
}

/* up: adjoint of the last layer's activation, LEARNER_HIDDEN_MAX of it; overwritten. */
static inline void mlp_reverse(const struct actor *a, const struct actor_trace *trace, int t, real *up) {
    for (int l = a->shape.layers - 1; l >= 0; l--) {
        const int size = a->shape.hidden[l];
        const real *out = trace->layer[l] + t * size;
        real *bar = trace->layer_bar[l] + t * size;
        for (int i = 0; i < size; i++) bar[i] = up[i] * (1 - out[i] * out[i]);
        if (l == 0) return;
        for (int i = 0; i < a->shape.hidden[l - 1]; i++) up[i] = real_splat(0);
        multiply_reverse(&a->dense[l], bar, up);
    }
}

/* The last hidden activation after step t. */
static inline const real *actor_top(const struct actor *a, const struct actor_trace *trace, int t) {
    if (a->shape.kind == LEARNER_GRU) return trace->layer[0] + (t + 1) * a->shape.hidden[0];
    const int last = a->shape.layers - 1;
    return trace->layer[last] + t * a->shape.hidden[last];
}

static inline void actor_forward(const struct actor *a, const struct actor_trace *trace, int t, const real *window,
                                 real action[4]) {
    real out[OUTPUT_STRIDE];
    if (a->shape.kind == LEARNER_GRU)
        gru_forward(a, trace, t, window);
    else
        mlp_forward(a, trace, t, window);
    start_from(a->bias_output, 4, out);
    multiply(&a->output, actor_top(a, trace, t), out);
    for (int i = 0; i < 4; i++) action[i] = rational_tanh(out[i]);
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
        bar = trace->gates_bar + t * 4 * a->shape.hidden[0];
    } else {
        for (int i = 0; i < a->shape.hidden[a->shape.layers - 1]; i++) up[i] = real_splat(0);
        multiply_reverse(&a->output, output_bar, up);
        mlp_reverse(a, trace, t, up);
        bar = trace->layer_bar[0] + t * a->shape.hidden[0];
    }
    multiply_reverse(&a->observed, bar, input_bar);
    multiply_reverse(&a->history, bar, window_bar);
}

#endif
