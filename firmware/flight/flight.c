#include "flight_state.h"

#include "act.h"
#include "failsafe.h"
#include "finite.h"
#include "observe.h"

void flight_init(struct flight *flight) {
    flight->mode = FLIGHT_STOCK;
    flight->takeover_ms = flight->inferences = flight->used = flight->sent_known = 0;
    for (int i = 0; i < 4; i++) flight->sent[i] = 0.0f;
    flight->heading = (struct heading){.cosine = 1.0f, .sine = 0.0f};
    guard_init(&flight->guard);
    reference_init(&flight->reference);
    executor_reset(&flight->executor);
    flight->self_test_passed = policy_self_test() == 0u;
}

void flight_sent(struct flight *flight, const float motor_fraction[4]) {
    for (int i = 0; i < 4; i++) flight->sent[i] = motor_fraction[i];
    flight->sent_known = 1;
}

static void take_over(struct flight *flight, const struct flight_input *input) {
    flight->takeover_ms = input->time_ms;
    flight->heading = observe_heading(input);
    flight->guard.latched = FLIGHT_GUARD_OK;
    flight->used = 1;
    if (input->rotors_idle) {
        executor_spin_up(&flight->executor);
    } else if (flight->sent_known) {
        float action[4];
        act_of_fraction(flight->sent, action);
        executor_hand_over(&flight->executor, action);
    }
}

/* Between two take-overs there is a tick that refuses the policy before it is asked; the executor is cleared there, so
 * that no tick does both. */
static void clear_executor(struct flight *flight) {
    if (!flight->used) return;
    executor_reset(&flight->executor);
    flight->used = 0;
}

static enum flight_guard run_policy(struct flight *flight, const struct flight_input *input) {
    const uint32_t since_takeover_ms = input->time_ms - flight->takeover_ms;
    if (!executor_due(&flight->executor, since_takeover_ms)) return FLIGHT_GUARD_OK;
    const struct executor_call call = {.since_takeover_ms = since_takeover_ms, .time_us = input->time_us};
    observe(input, &flight->reference, flight->heading, flight->executor.observation);
    executor_run(&flight->executor, &call);
    flight->inferences++;
    return are_finite(flight->executor.action, 4) ? FLIGHT_GUARD_OK : FLIGHT_GUARD_ACTION;
}

/* The policy flies: moves the reference, and asks all that can speak against the policy before it is asked itself. */
static enum flight_guard go_on(struct flight *flight, const struct flight_input *input, uint32_t elapsed_ms) {
    const uint32_t step_ms = elapsed_ms <= GUARD_PERIOD_MAX_MS ? elapsed_ms : 0u; /* a broken clock moves no target */
    enum flight_guard reason = guard_input(input, flight->self_test_passed);
    if (reason == FLIGHT_GUARD_OK) {
        if (guard_followable(input)) reference_step(&flight->reference, input, step_ms);
        reason = guard_envelope(&flight->guard, input, &flight->reference, elapsed_ms);
    }
    return guard_settle(&flight->guard, reason, 1u);
}

/* It does not: what it would follow begins anew in every tick; takes over as soon as nothing speaks against it. */
static enum flight_guard wait(struct flight *flight, const struct flight_input *input, uint32_t elapsed_ms) {
    enum flight_guard reason = guard_input(input, flight->self_test_passed);
    if (reason == FLIGHT_GUARD_OK) {
        if (guard_followable(input)) reference_begin(&flight->reference, input);
        reason = guard_envelope(&flight->guard, input, &flight->reference, elapsed_ms);
    }
    reason = guard_settle(&flight->guard, reason, 0u);
    if (reason == FLIGHT_GUARD_OK) take_over(flight, input);
    return reason;
}

static void report(const struct flight *flight, const struct flight_input *input, struct flight_output *output) {
    const uint32_t flying = flight->mode == FLIGHT_POLICY;
    output->controls_motors = flying;
    output->mode = flight->mode;
    output->guard_latched = flight->guard.latched;
    output->contract_hash = POLICY_CONTRACT_HASH32;
    output->self_test_passed = flight->self_test_passed;
    output->inferences = flight->inferences;
    output->native_steps = flight->executor.native_steps;
    output->native_lost = flight->executor.native_lost;
    output->deadline_misses = flight->guard.deadline_misses;
    output->period_bias_us = flight->executor.bias_us;
    output->period_jitter_us = flight->executor.jitter_us;
    output->reference_over = flying && reference_over(&flight->reference, input);
    act_fraction(flight->executor.action, output->motor_fraction);
    for (int i = 0; i < 4; i++) {
        output->motor_fraction[i] = flying ? output->motor_fraction[i] : 0.0f;
        output->action[i] = flying ? flight->executor.action[i] : 0.0f;
    }
    for (int i = 0; i < 3; i++) {
        output->reference_position_world[i] = flight->reference.position_world[i];
        output->reference_velocity_world[i] = flight->reference.velocity_world[i];
    }
}

/* Input that passed the guard can be followed by anybody, whatever the network then made of it. */
static void refuse(struct flight *flight, const struct flight_input *input, enum flight_guard reason,
                   struct flight_output *output) {
    clear_executor(flight);
    output->guard = reason;
    output->failsafe = failsafe(input, reason);
}

void flight_tick(struct flight *flight, const struct flight_input *input, struct flight_output *output) {
    const uint32_t was_flying = flight->mode == FLIGHT_POLICY;
    const uint32_t elapsed_ms = guard_clock(&flight->guard, input->time_ms);
    guard_watch(&flight->guard, input, flight->executor.action, was_flying, elapsed_ms);
    const enum flight_guard reason = was_flying ? go_on(flight, input, elapsed_ms) : wait(flight, input, elapsed_ms);
    if (reason == FLIGHT_GUARD_OK) {
        output->guard = guard_settle(&flight->guard, run_policy(flight, input), 1u);
        output->failsafe = FLIGHT_FAILSAFE_FOLLOW;
    } else {
        refuse(flight, input, reason, output);
    }
    flight->mode = output->guard == FLIGHT_GUARD_OK ? FLIGHT_POLICY : FLIGHT_STOCK;
    flight->sent_known = 0;
    report(flight, input, output);
}
