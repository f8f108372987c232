/* dense.h: the plain C interface of batched dense networks, for learners that draw minibatches (td3, sac, ppo).
 *
 * A batch is a matrix with one sample per row. A layer's weights are stored as [inputs + 1][dense_padded(outputs)]: one
 * row per input, the bias last, columns beyond the outputs zero. They stay zero, so that a whole network is one vector
 * for Adam and for averaging. Everything is owned by the caller; there is no hidden state.
 */
#ifndef FLEDGE_DENSE_H
#define FLEDGE_DENSE_H

#include <stdint.h>

enum {
    DENSE_ABI = 1,        /* raised with every change of this file; dense.py refuses another */
    DENSE_ALIGNMENT = 64, /* [bytes], of parameters, gradients and traces */
    DENSE_GRANULE = 16,   /* columns are padded to a multiple of this: the widest vector */
    DENSE_LAYERS_MAX = 4
};

/* fast tanh: y = x (27 + x^2) / (27 + 9 x^2) of x clipped to +-3; its slope is taken to be 1 - y^2. */
enum dense_activation { DENSE_LINEAR, DENSE_TANH, DENSE_FAST_TANH, DENSE_RELU };

struct dense_network {
    int32_t layers;                      /* 1 to DENSE_LAYERS_MAX */
    int32_t sizes[DENSE_LAYERS_MAX + 1]; /* inputs, then the outputs of each layer */
    int32_t hidden, output;              /* enum dense_activation */
    int32_t unused;
    float *parameter; /* dense_parameters of them */
};

/* Sample r, feature k at data[r * row + k * column]. */
struct dense_batch {
    const float *data;
    int64_t row, column;
    int32_t samples, unused;
};

/* What the reverse sweep may leave: NULL where it is not wanted. */
struct dense_reverse {
    const float *output_bar; /* [samples][outputs], adjoint of what the network returned */
    float *gradient;         /* as the parameters; overwritten */
    float *input_bar;        /* [samples][input_count], adjoint of inputs input_first.. */
    int32_t input_first, input_count;
    float *scratch; /* dense_scratch floats */
};

struct dense_adam {
    float rate, beta1, beta2, epsilon;
    float decay;   /* share of a weight, not of a bias, that each step takes away */
    float clip;    /* on the global norm of the gradient; 0: none */
    int32_t step;  /* 1 for the first */
    float norm;    /* of the gradient, left here by the step */
    float *moment; /* two of the length of the parameters */
};

/* Copies rows of a table: out[i] = source[index[i]], `width` floats each. */
struct dense_gather {
    const float *source;
    int64_t source_row;
    float *out;
    int64_t out_row;
    int32_t width, unused;
};

/* The last `length` actions before (or, with after = 1, including) transition index[i] of a ring. The ring of a world
 * is `slots` rows; what is older than the episode, age[] transitions, is `fill`. */
struct dense_history {
    const float *action; /* [rows][actions] */
    const int32_t *age;  /* [rows] */
    float *out;
    int64_t out_row;
    int64_t slots;
    int32_t actions, length, after;
    float fill;
};

static inline int32_t dense_padded(int32_t size) { return (size + DENSE_GRANULE - 1) / DENSE_GRANULE * DENSE_GRANULE; }

#endif
