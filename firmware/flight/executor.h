/* executor.h: runs a network trained at the native rate more often than that.
 *
 * Recurrent state and action history advance on native steps only. The network takes its state for one native period
 * old, so a call in between gives it what the state was then, interpolated between before and after the last native
 * step, and keeps nothing. The newest slot of the history is the mean of the actions given since the last native step:
 * what was really commanded over that step. Where the policy sums past actions ahead, a native step after lost
 * inferences waits until these sums are complete: no call has to make up for others. The times of the calls are passed
 * in, and how regular they are is kept count of.
 */
#ifndef FLEDGE_EXECUTOR_H
#define FLEDGE_EXECUTOR_H

#include <stdint.h>

#include "policy.h"

enum {
    EXECUTOR_NATIVE_PERIOD_MS = 1000 / POLICY_NATIVE_RATE,
    EXECUTOR_INFERENCE_PERIOD_MS = 1000 / POLICY_INFERENCE_RATE,
    EXECUTOR_STATES = POLICY_STATE_SIZE > 0 ? POLICY_STATE_SIZE : 1,
    EXECUTOR_PERIODS = 64 /* inferences over which the times between them are averaged, about */
};
_Static_assert(1000 % POLICY_NATIVE_RATE == 0, "a native step is a whole number of 1 ms ticks");
_Static_assert(1000 % POLICY_INFERENCE_RATE == 0, "an inference is a whole number of 1 ms ticks");
_Static_assert(POLICY_INFERENCE_RATE % POLICY_NATIVE_RATE == 0, "every native step is an inference");

struct executor {
#if POLICY_HISTORY_REUSE
    struct policy_reuse reuse; /* what the older past actions add to the first layer */
#endif
    uint32_t inference_index; /* of the last inference, counted in inference periods since take-over */
    uint32_t native_index;    /* of the last native step, likewise */
    uint32_t native_ms;       /* of the last native step, since take-over */
    uint32_t native_steps;    /* since take-over */
    uint32_t native_lost;     /* since take-over: what late calls have skipped */
    uint32_t window_actions;  /* inferences since the last native step, that one included */
    uint32_t time_us;         /* of the last inference */
    float bias_us, jitter_us; /* running means of the period's error, and of its distance from that */
    /* recurrent: before and after the last native step, and of the last inference that was none */
    float state_before[EXECUTOR_STATES], state[EXECUTOR_STATES], state_between[EXECUTOR_STATES];
    float observation[POLICY_INPUT_SIZE]; /* past actions included, oldest first */
#if POLICY_HISTORY_LENGTH == 0
    float newest[4]; /* mean of the actions given since the last native step */
#endif
    float action[4]; /* of the last inference, as it is sent */
    float
        handover[4]; /* EXECUTOR_TAKES: what was sent before; EXECUTOR_HANDS_OVER: what the first action lacked of it */
    uint32_t start;  /* enum executor_start */
};

/* How the network's action becomes what is sent. */
enum executor_start {
    EXECUTOR_FREE = 0,      /* as it is */
    EXECUTOR_SPINS_UP = 1,  /* below a ceiling that rises, act.h */
    EXECUTOR_TAKES = 2,     /* the next inference is the first, and gives what was sent before it */
    EXECUTOR_HANDS_OVER = 3 /* what the first one lacked of that is added by a share that shrinks, act.h */
};

/* One call. */
struct executor_call {
    uint32_t since_takeover_ms;
    uint32_t time_us; /* any clock that runs on and wraps */
};

/* Take-over: state zero, every past action hover. */
void executor_reset(struct executor *executor);

/* After executor_reset: the rotors stand. */
void executor_spin_up(struct executor *executor);

/* After executor_reset: the motors have been given this action in [-1, 1] so far, and see no step. */
void executor_hand_over(struct executor *executor, const float action[4]);

/* 1 if an inference is due `since_takeover_ms` after executor_reset. */
uint32_t executor_due(const struct executor *executor, uint32_t since_takeover_ms);

/* One inference on executor->observation, of which the caller fills all but the past actions; the result is in
 * executor->action. */
void executor_run(struct executor *executor, const struct executor_call *call);

#endif
