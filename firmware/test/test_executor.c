#include "check.h"
#include "executor.h"

/* hand_policy: action = (input[0], 0.01 state, newest past action, oldest past action). */
static const float *run(struct executor *executor, uint32_t since_takeover_ms, float wanted) {
    const struct executor_call call = {.since_takeover_ms = since_takeover_ms, .time_us = 1000u * since_takeover_ms};
    executor->observation[0] = wanted;
    CHECK(executor_due(executor, since_takeover_ms));
    executor_run(executor, &call);
    CHECK(!executor_due(executor, since_takeover_ms));
    return executor->action;
}

static void check_action(const float *action, float wanted, float state, float newest, float oldest) {
    CHECK_NEAR(action[0], wanted, 1e-7);
    CHECK_NEAR(action[1], 0.01f * state, 1e-7);
    CHECK_NEAR(action[2], newest, 1e-6);
    CHECK_NEAR(action[3], oldest, 1e-6);
}

static void test_windows(void) {
    struct executor executor;
    executor_reset(&executor);
    const float hover = POLICY_ACTION_HOVER;
    /* first native step: hover everywhere; then the state of 10 ms ago rises from 0 to 1, and the newest slot is the
     * running mean of 0.1, 0.2, ... */
    check_action(run(&executor, 0, 0.1f), 0.1f, 0, hover, hover);
    CHECK(!executor_due(&executor, 1));
    check_action(run(&executor, 2, 0.2f), 0.2f, 0.2f, 0.10f, hover);
    check_action(run(&executor, 4, 0.3f), 0.3f, 0.4f, 0.15f, hover);
    check_action(run(&executor, 6, 0.4f), 0.4f, 0.6f, 0.20f, hover);
    check_action(run(&executor, 8, 0.5f), 0.5f, 0.8f, 0.25f, hover);
    CHECK(executor.native_steps == 1);
    /* second native step sees the mean of all five, (0.1 + 0.2 + 0.3 + 0.4 + 0.5)/5 = 0.3, and state 1 */
    check_action(run(&executor, 10, 0.9f), 0.9f, 1, 0.3f, hover);
    check_action(run(&executor, 12, 0.7f), 0.7f, 1.2f, 0.9f, 0.3f);
    /* three calls missed: the window held (0.9 + 0.7)/2 = 0.8 */
    check_action(run(&executor, 20, 0.0f), 0.0f, 2, 0.8f, 0.3f);
    CHECK(executor.native_steps == 3);
    check_action(run(&executor, 22, 0.0f), 0.0f, 2.2f, 0.0f, 0.8f);
}

/* A late call takes the native step that is due; the next one is due at the old phase, not 10 ms later. */
static void test_late(void) {
    struct executor executor;
    executor_reset(&executor);
    run(&executor, 0, 0.1f);
    run(&executor, 13, 0.1f);
    CHECK(executor.native_steps == 2);
    CHECK_NEAR(run(&executor, 14, 0.1f)[1], 0.011f, 1e-7); /* 1 ms later: the state of 4 ms */
    run(&executor, 20, 0.1f);
    CHECK(executor.native_steps == 3);
}

static void test_reset(void) {
    struct executor executor;
    executor_reset(&executor);
    for (uint32_t t = 0; t < 40; t += 2) run(&executor, t, -0.5f);
    executor_reset(&executor);
    CHECK(executor.native_steps == 0);
    for (int i = 0; i < 4; i++) CHECK_NEAR(executor.action[i], POLICY_ACTION_HOVER, 0);
    check_action(run(&executor, 0, 0.1f), 0.1f, 0, POLICY_ACTION_HOVER, POLICY_ACTION_HOVER);
}

/* The ceiling holds for what is sent and for what the history says was sent; a NaN stays one, for the guard to see. */
static void test_spin_up(void) {
    struct executor executor;
    executor_reset(&executor);
    executor_spin_up(&executor);
    CHECK_NEAR(run(&executor, 0, 0.4f)[0], -1, 0);
    run(&executor, 60, 0.4f); /* a fifth of the way from -1 to 1 */
    CHECK_NEAR(executor.action[0], -0.6, 1e-6);
    CHECK_NEAR(executor.action[2], -1, 0); /* newest past action */
    executor.observation[POLICY_OFFSET_VELOCITY_ERROR + 1] = 4.0f;
    CHECK(isnan(run(&executor, 62, 0.4f)[0]));
    executor.observation[POLICY_OFFSET_VELOCITY_ERROR + 1] = 0.0f;
    CHECK_NEAR(run(&executor, 300, 0.4f)[0], 0.4, 1e-7);
    CHECK(executor.start == EXECUTOR_FREE);
}

/* Gives first what was sent before, then less and less of the difference; within -1 to 1, and a NaN stays one. */
static void test_hand_over(void) {
    const float sent[4] = {-1.0f, 1.0f, 0.5f, -0.5f};
    struct executor executor;
    executor_reset(&executor);
    executor_hand_over(&executor, sent);
    run(&executor, 0, 0.6f);
    for (int i = 0; i < 4; i++) CHECK_NEAR(executor.action[i], sent[i], 1e-7);
    CHECK_NEAR(run(&executor, 15, 0.6f)[0], 0.6 - 0.75 * 1.6, 1e-6);
    CHECK_NEAR(run(&executor, 30, -0.6f)[0], -1, 0); /* -0.6 - 0.5 * 1.6 is not to be had */
    executor.observation[POLICY_OFFSET_VELOCITY_ERROR + 1] = 4.0f;
    CHECK(isnan(run(&executor, 32, 0.6f)[0]));
    executor.observation[POLICY_OFFSET_VELOCITY_ERROR + 1] = 0.0f;
    CHECK_NEAR(run(&executor, 60, 0.6f)[0], 0.6, 1e-7);
    CHECK(executor.start == EXECUTOR_FREE);
}

/* Native steps at 0, 10, then 40 ms: two were lost. */
static void test_lost_steps(void) {
    struct executor executor;
    executor_reset(&executor);
    run(&executor, 0, 0.1f);
    run(&executor, 10, 0.1f);
    CHECK(executor.native_lost == 0);
    run(&executor, 40, 0.1f);
    run(&executor, 42, 0.1f);
    CHECK(executor.native_steps == 3 && executor.native_lost == 2);
}

/* Called every 2 ms by the drone's clock, which the other clock says are 2010 and 2030 us in turn: bias 20, jitter 10.
 */
static void test_period(void) {
    struct executor executor;
    struct executor_call call = {.time_us = 0xfffff000u};
    executor_reset(&executor);
    for (int i = 0; i < 2000; i++) {
        executor_run(&executor, &call);
        call.since_takeover_ms += 2;
        call.time_us += i % 2 ? 2010 : 2030;
    }
    CHECK_NEAR(executor.bias_us, 20, 0.5);
    CHECK_NEAR(executor.jitter_us, 10, 0.5);
    const float before = executor.bias_us; /* a clock that stands, or was set, says nothing */
    call.time_us = executor.time_us;
    executor_run(&executor, &call);
    call.since_takeover_ms += 2, call.time_us += 0x70000000u;
    executor_run(&executor, &call);
    CHECK_NEAR(executor.bias_us, before, 0);
}

int main(void) {
    test_spin_up();
    test_hand_over();
    test_lost_steps();
    test_period();
    test_windows();
    test_late();
    test_reset();
    return check_result();
}
