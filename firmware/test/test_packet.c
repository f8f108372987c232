#include "check.h"
#include "packet.h"

static uint32_t next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 32);
}

/* 1000 mm = 1 m; -1 = 0xffff; 32767 = 1; 1000 mrad/s = 57.29578 deg/s. */
static void test_state_in_integers(void) {
    const uint8_t packet[30] = {HIL_STATE, 7,    0xe8, 0x03, 0xff, 0xff, 0x00, 0x80, 0x01, 0x00,
                                0,         0,    0xff, 0x7f, 0,    0,    0x01, 0x80, 0,    0,
                                0xff,      0x7f, 0xe8, 0x03, 0,    0,    0x18, 0xfc, 9,    1};
    struct hil_state state;
    CHECK(hil_check(packet, 30) == HIL_OK);
    hil_decode_state(packet, &state);
    CHECK_NEAR(state.position_world[0], 1.0, 1e-7);
    CHECK_NEAR(state.position_world[1], -0.001, 1e-9);
    CHECK_NEAR(state.position_world[2], -32.768, 1e-5);
    CHECK_NEAR(state.velocity_world[0], 0.001, 1e-9);
    CHECK_NEAR(state.velocity_world[2], 32.767, 1e-5);
    CHECK(state.quaternion_xyzw[1] == -1.0f && state.quaternion_xyzw[3] == 1.0f && state.quaternion_xyzw[0] == 0.0f);
    CHECK_NEAR(state.gyro_deg_s[0], 57.29578, 1e-4);
    CHECK_NEAR(state.gyro_deg_s[2], -57.29578, 1e-4);
    CHECK(state.age_ms == 9 && state.battery_low == 1 && state.rotors_idle == 0);
}

static void test_refuses_by_reason(void) {
    uint8_t packet[31] = {HIL_TARGET, 3, 4};
    CHECK(hil_check(packet, 0) == HIL_UNKNOWN_KIND);
    CHECK(hil_check(packet, 27) == HIL_WRONG_LENGTH && hil_check(packet, 29) == HIL_WRONG_LENGTH);
    CHECK(hil_check(packet, 28) == HIL_WRONG_VALUE);
    packet[2] = 3;
    CHECK(hil_check(packet, 28) == HIL_OK);
    const uint8_t begins[4][4] = {
        {HIL_BEGIN, 0, 2, 1}, {HIL_BEGIN, 0, 0, 0}, {HIL_BEGIN, 0, 1, HIL_PERIOD_MAX_MS + 1}, {HIL_BEGIN, 0, 1, 20}};
    for (int i = 0; i < 4; i++) CHECK(hil_check(begins[i], 4) == (i < 3 ? HIL_WRONG_VALUE : HIL_OK));
    packet[0] = HIL_ANSWER; /* an answer is no question */
    CHECK(hil_check(packet, 30) == HIL_UNKNOWN_KIND);
}

static void test_numbers_saturate(void) {
    const float not_a_number = nanf("");
    const struct hil_answer answer = {.sequence = 0x1ff,
                                      .motor_fraction = {2.0f, -1.0f, not_a_number, 0.5f},
                                      .wait_us = 70000,
                                      .ticks = 65537,
                                      .contract_hash = 0x01020304};
    uint8_t packet[HIL_PACKET_MAX];
    CHECK(hil_encode_answer(&answer, packet) == 30);
    CHECK(packet[1] == 0xff);
    CHECK(packet[4] == 0xff && packet[5] == 0xff && packet[6] == 0 && packet[7] == 0 && packet[8] == 0);
    CHECK(packet[10] == 0x00 && packet[11] == 0x80); /* 32768 of 65535 */
    CHECK(packet[16] == 0xff && packet[17] == 0xff);
    CHECK(packet[24] == 1 && packet[25] == 0); /* a counter wraps */
    CHECK(packet[26] == 4 && packet[29] == 1);
}

/* Whatever comes: one of the reasons, and what passes can be decoded. The sanitizers watch. */
static void test_any_bytes(void) {
    uint64_t seed = 1;
    uint32_t seen[HIL_ARMED + 1] = {0};
    for (int round = 0; round < 300000; round++) {
        uint8_t packet[31], reply[HIL_PACKET_MAX];
        const uint32_t length = next(&seed) % 32u;
        for (int i = 0; i < 31; i++) packet[i] = (uint8_t)(next(&seed) >> 8);
        if (next(&seed) & 1u) packet[0] = (uint8_t)(next(&seed) % 7u), packet[2] &= 7, packet[3] &= 31;
        const enum hil_refusal reason = hil_check(packet, length);
        seen[reason]++;
        if (reason != HIL_OK) {
            CHECK(hil_encode_refusal(packet, length, reason, reply) == 4 && reply[3] == (uint8_t)reason);
            continue;
        }
        struct hil_state state;
        struct hil_target target;
        struct hil_begin begin;
        if (packet[0] == HIL_STATE) hil_decode_state(packet, &state);
        if (packet[0] == HIL_STATE_LINEAR) hil_decode_linear(packet, &state);
        if (packet[0] == HIL_STATE_ANGULAR) hil_decode_angular(packet, &state);
        if (packet[0] == HIL_TARGET) hil_decode_target(packet, &target);
        if (packet[0] == HIL_BEGIN) hil_decode_begin(packet, &begin);
    }
    for (int reason = HIL_OK; reason <= HIL_WRONG_VALUE; reason++) CHECK(seen[reason] > 100);
}

int main(void) {
    test_state_in_integers();
    test_refuses_by_reason();
    test_numbers_saturate();
    test_any_bytes();
    return check_result();
}
