#include "check.h"
#include "injection.h"

static const float fractions[4] = {0.25f, 0.5f, 0.75f, 1.0f};
static struct flight_output flight = {.guard = 3, .failsafe = 1, .self_test_passed = 1, .contract_hash = 0xabcd};
static struct injection injection;
static struct flight_input input;
static uint8_t reply[HIL_PACKET_MAX];

static uint32_t next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 32);
}

static uint32_t settle(uint32_t tick_us) {
    const struct injection_report report = {
        .flight = &flight, .motor_fraction = fractions, .inference_us = tick_us / 2, .tick_us = tick_us};
    return injection_settle(&injection, &report, reply);
}

/* One millisecond; the length of what was answered. */
static uint32_t tick(uint32_t now_us) {
    input.enable = 1;
    return injection_tick(&injection, now_us, &input) ? settle(100) : 0;
}

static uint32_t send(uint8_t kind, uint8_t sequence, uint32_t length) {
    uint8_t packet[HIL_PACKET_MAX] = {kind, sequence, 0, 1};
    return injection_receive(&injection, packet, length, 1000, reply);
}

static uint32_t begin(uint8_t schedule, uint8_t period_ms) {
    const uint8_t packet[4] = {HIL_BEGIN, 200, schedule, period_ms};
    return injection_receive(&injection, packet, 4, 0, reply);
}

static void start(uint8_t schedule, uint8_t period_ms) {
    injection_init(&injection);
    injection_set_mode(&injection, HIL_INJECTED);
    CHECK(begin(schedule, period_ms) == 0);
    CHECK(tick(0) == 10 && reply[0] == HIL_READY && reply[1] == 200 && reply[6] == 0xcd);
    CHECK(input.enable == 0); /* so that the policy takes over afresh */
}

static void refused(uint32_t length, enum hil_refusal reason) {
    CHECK(length == 4 && reply[0] == HIL_REFUSED && reply[3] == (uint8_t)reason);
}

static void test_modes(void) {
    CHECK(injection_mode_refusal(HIL_SIMULATED, 0) == HIL_OK && injection_mode_refusal(HIL_OFF, 0) == HIL_OK);
    CHECK(injection_mode_refusal(3, 0) == HIL_WRONG_VALUE && injection_mode_refusal(HIL_INJECTED, 1) == HIL_ARMED);
    injection_init(&injection);
    CHECK(tick(0) == 0 && input.time_ms == 0); /* off: nothing to do */
    refused(begin(HIL_LOCKSTEP, 1), HIL_WRONG_MODE);
    injection_set_mode(&injection, HIL_INJECTED);
    refused(send(HIL_STATE, 1, 30), HIL_NOT_BEGUN);
}

/* A state holds for three ticks, is answered in the third, and time stands still afterwards. */
static void test_lockstep(void) {
    start(HIL_LOCKSTEP, 3);
    const uint32_t before_ms = input.time_ms;
    CHECK(send(HIL_STATE, 1, 30) == 0);
    CHECK(tick(1250) == 0 && input.state_age_ms == 0 && input.enable == 1);
    refused(send(HIL_STATE, 2, 30), HIL_BUSY);
    CHECK(send(HIL_STATE, 1, 30) == 0); /* once more: the answer comes */
    CHECK(tick(2250) == 0 && tick(3250) == 30);
    CHECK(reply[0] == HIL_ANSWER && reply[1] == 1 && reply[2] == 3 && reply[3] == (2 | 1 << 4));
    CHECK(reply[12] == (1000 & 0xff) && reply[13] == 1000 >> 8); /* received at 1000 us */
    CHECK(reply[16] == 250 && reply[17] == 0);                   /* first tick at 1250 us */
    CHECK(reply[18] == 50 && reply[20] == 100 && reply[24] == 3);
    CHECK(input.state_age_ms == 2 && input.time_ms == before_ms + 3);
    CHECK(tick(4250) == 0 && input.time_ms == before_ms + 3);
    CHECK(send(HIL_STATE, 1, 30) == 30 && reply[1] == 1); /* its answer was lost: the same again */
    CHECK(tick(5250) == 0 && input.time_ms == before_ms + 3);
}

static void test_two_halves_make_a_state(void) {
    start(HIL_LOCKSTEP, 1);
    refused(send(HIL_STATE_ANGULAR, 1, 30), HIL_HALF_MISSING);
    CHECK(send(HIL_STATE_LINEAR, 1, 28) == 0 && tick(0) == 0);
    refused(send(HIL_STATE_ANGULAR, 2, 30), HIL_HALF_MISSING);
    CHECK(send(HIL_STATE_ANGULAR, 1, 30) == 0);
    CHECK(tick(0) == 30 && reply[0] == HIL_ANSWER_EXACT && reply[15] == 0x3f && reply[14] == 0x40); /* 0.75f */
    CHECK(send(HIL_STATE_LINEAR, 1, 28) == 0 && send(HIL_STATE_ANGULAR, 1, 30) == 30);
}

/* The newest state counts until the next; its age grows; a tick above 500 us is late. */
static void test_free_run(void) {
    start(HIL_FREE_RUN, 1);
    CHECK(tick(0) == 0 && injection.ticks == 0); /* nothing to fly on yet */
    CHECK(send(HIL_STATE, 5, 30) == 0 && tick(0) == 30);
    for (uint32_t age_ms = 1; age_ms < 60; age_ms++) CHECK(tick(0) == 0 && input.state_age_ms == age_ms);
    CHECK(send(HIL_STATE, 6, 30) == 0 && send(HIL_STATE, 7, 30) == 0);
    CHECK(injection_tick(&injection, 0, &input) == 1 && settle(501) == 30);
    CHECK(reply[1] == 7 && reply[3] == (2 | 4 | 1 << 4) && reply[22] == 1 && input.state_age_ms == 0);
    CHECK(injection_tick(&injection, 0, &input) == 1 && settle(500) == 0 && injection.late_ticks == 1);
}

static void test_target_is_held(void) {
    uint8_t packet[28] = {HIL_TARGET, 9, FLIGHT_SETPOINT_POSITION};
    packet[15] = 0x3f, packet[14] = 0x80; /* z = 1.0f */
    start(HIL_LOCKSTEP, 1);
    CHECK(injection_receive(&injection, packet, 28, 0, reply) == 2 && reply[0] == HIL_TARGET_SET && reply[1] == 9);
    send(HIL_STATE, 1, 30), tick(0);
    CHECK(input.setpoint_mode == FLIGHT_SETPOINT_POSITION && input.setpoint_position_world[2] == 1.0f);
    CHECK(input.setpoint_age_ms == 0);
}

/* A link may deliver late, twice and in another order: what was overtaken changes nothing and is not answered. */
static void test_packets_that_come_late(void) {
    uint8_t target[28] = {HIL_TARGET, 254, FLIGHT_SETPOINT_POSITION};
    start(HIL_LOCKSTEP, 1);
    CHECK(send(HIL_STATE, 254, 30) == 0 && tick(0) == 30);
    CHECK(send(HIL_STATE, 1, 30) == 0 && tick(0) == 30 && reply[1] == 1); /* numbers wrap */
    const uint32_t before_ms = input.time_ms;
    CHECK(send(HIL_STATE, 254, 30) == 0 && send(HIL_STATE_LINEAR, 255, 28) == 0 &&
          send(HIL_STATE_ANGULAR, 255, 30) == 0);
    CHECK(tick(0) == 0 && input.time_ms == before_ms);
    CHECK(send(HIL_STATE, 1, 30) == 30 && reply[1] == 1);
    CHECK(begin(HIL_LOCKSTEP, 1) == 10 && reply[0] == HIL_READY && !injection.starting && tick(0) == 0);
    CHECK(injection_receive(&injection, target, 28, 0, reply) == 2);
    target[1] = 3, target[15] = 0x3f, target[14] = 0x80;
    CHECK(injection_receive(&injection, target, 28, 0, reply) == 2);
    target[1] = 254, target[15] = 0;
    CHECK(injection_receive(&injection, target, 28, 0, reply) == 0 && injection.target.position_world[2] == 1.0f);
}

/* No packet is needed: it hovers, one tick each millisecond. States are refused; a restart starts afresh. */
static void test_simulated(void) {
    injection_init(&injection);
    injection_set_mode(&injection, HIL_SIMULATED);
    input.position_world[0] = 42.0f;
    CHECK(injection.starting && tick(0) == 0 && input.enable == 0 && tick(0) == 0 && input.enable == 1);
    CHECK(input.time_ms == 2 && input.setpoint_position_world[2] == 1.0f && input.position_world[0] == 42.0f);
    refused(send(HIL_STATE, 1, 30), HIL_WRONG_MODE);
    CHECK(begin(HIL_LOCKSTEP, 1) == 0 && injection.starting && tick(0) == 10 && input.enable == 0);
    CHECK(tick(0) == 0 && begin(HIL_LOCKSTEP, 1) == 10 &&
          !injection.starting); /* the answer was lost, the run is not */
}

/* Any bytes at any time: an answer of a known kind or none, ages and counters as they should be. */
static void test_any_bytes(void) {
    uint64_t seed = 3;
    uint32_t answers = 0;
    injection_init(&injection);
    for (int round = 0; round < 300000; round++) {
        uint8_t packet[32];
        for (int i = 0; i < 32; i++) packet[i] = (uint8_t)(next(&seed) >> 8);
        if (next(&seed) % 8u) packet[0] = (uint8_t)(next(&seed) % 6u), packet[1] &= 3, packet[2] &= 3, packet[3] &= 7;
        const uint32_t whole = packet[0] == HIL_BEGIN ? 4 : packet[0] == HIL_TARGET || packet[0] == 2 ? 28 : 30;
        const uint32_t length = next(&seed) % 8u ? whole : next(&seed) % 33u;
        if (next(&seed) % 500u == 0u) injection_set_mode(&injection, (enum hil_mode)(next(&seed) % 3u));
        const uint32_t size = injection_receive(&injection, packet, length, next(&seed), reply);
        CHECK(size <= HIL_PACKET_MAX && (size == 0u || reply[0] >= HIL_ANSWER));
        answers += tick(next(&seed)) == 30;
        CHECK(injection.ticks_left <= HIL_PERIOD_MAX_MS && input.setpoint_mode < 4u);
    }
    CHECK(answers > 1000);
}

int main(void) {
    test_modes();
    test_lockstep();
    test_two_halves_make_a_state();
    test_free_run();
    test_target_is_held();
    test_packets_that_come_late();
    test_simulated();
    test_any_bytes();
    return check_result();
}
