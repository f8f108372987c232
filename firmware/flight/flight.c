#include "flight_state.h"

#include "act.h"
#include "failsafe.h"
#include "finite.h"
#include "observe.h"

void flight_init(struct flight *flight) {
    flight->mode = FLIGHT_STOCK;
    flight->takeover_ms = flight->inferences = 0;
    flight->heading = (struct heading){.cosine = 1.0f, .sine = 0.0f};
    guard_init(&flight->guard);
    reference_init(&flight->reference);
    executor_reset(&flight->executor);
    for (int i = 0; i < POLICY_INPUT_SIZE; i++) flight->observation[i] = 0.0f;
    flight->self_test_passed = policy_self_test() == 0u;
}

static void take_over(struct flight *flight, const struct flight_input *input) {
    flight->takeover_ms = input->time_ms;
    flight->heading = observe_heading(input);
    flight->guard.latched = FLIGHT_GUARD_OK;
    executor_reset(&flight->executor);
}

static enum flight_guard run_policy(struct flight *flight, const struct flight_input *input) {
    const uint32_t since_takeover_ms = input->time_ms - flight->takeover_ms;
    if (!executor_due(&flight->executor, since_takeover_ms)) return FLIGHT_GUARD_OK;
    observe(input, &flight->reference, flight->heading, flight->observation);
    executor_run(&flight->executor, since_takeover_ms, flight->observation);
    flight->inferences++;
    return are_finite(flight->executor.action, 4) ? FLIGHT_GUARD_OK : FLIGHT_GUARD_ACTION;
}

/* Everything that can speak against the policy before it is asked; moves the reference. */
static enum flight_guard admit(struct flight *flight, const struct flight_input *input, uint32_t elapsed_ms) {
    const enum flight_guard reason = guard_input(input, flight->self_test_passed);
    if (reason != FLIGHT_GUARD_OK) return reason;
    if (flight->mode == FLIGHT_STOCK) reference_reset(&flight->reference);
    const uint32_t step_ms = elapsed_ms <= GUARD_PERIOD_MAX_MS ? elapsed_ms : 0u; /* a broken clock moves no target */
    if (guard_followable(input)) reference_step(&flight->reference, input, step_ms);
    return guard_envelope(&flight->guard, input, &flight->reference, elapsed_ms);
}

static void report(const struct flight *flight, const struct flight_input *input, enum flight_guard reason,
                   struct flight_output *output) {
    const uint32_t flying = flight->mode == FLIGHT_POLICY;
    output->controls_motors = flying;
    output->mode = flight->mode;
    output->guard = reason;
    output->guard_latched = flight->guard.latched;
    output->failsafe = flying ? FLIGHT_FAILSAFE_FOLLOW : failsafe(input, reason);
    output->contract_hash = POLICY_CONTRACT_HASH32;
    output->self_test_passed = flight->self_test_passed;
    output->inferences = flight->inferences;
    output->native_steps = flight->executor.native_steps;
    output->deadline_misses = flight->guard.deadline_misses;
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

void flight_tick(struct flight *flight, const struct flight_input *input, struct flight_output *output) {
    const uint32_t was_flying = flight->mode == FLIGHT_POLICY;
    const uint32_t elapsed_ms = guard_clock(&flight->guard, input->time_ms);
    guard_watch(&flight->guard, input, flight->executor.action, was_flying, elapsed_ms);
    enum flight_guard reason = guard_settle(&flight->guard, admit(flight, input, elapsed_ms), was_flying);
    if (reason == FLIGHT_GUARD_OK) {
        if (!was_flying) take_over(flight, input);
        reason = guard_settle(&flight->guard, run_policy(flight, input), 1u);
    }
    flight->mode = reason == FLIGHT_GUARD_OK ? FLIGHT_POLICY : FLIGHT_STOCK;
    report(flight, input, reason, output);
}
