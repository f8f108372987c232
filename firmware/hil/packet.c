#include "packet.h"

#define METRES_PER_MILLIMETRE 1e-3f
#define UNIT_PER_Q15 (1.0f / 32767.0f)
#define DEGREES_PER_MILLIRADIAN 0.05729577951308232f
#define FRACTION_STEPS 65535.0f

enum { SETPOINT_MODES = 4, SCHEDULES = 2, U16_MAX = 0xffff };
enum answer_flag { FLAG_CONTROLS = 1, FLAG_SELF_TEST = 2, FLAG_FREE_RUN = 4, FAILSAFE_SHIFT = 4 };

static uint32_t get_u16(const uint8_t *at) { return (uint32_t)at[0] | (uint32_t)at[1] << 8; }

static float get_i16(const uint8_t *at) {
    const uint32_t raw = get_u16(at);
    return (float)((int32_t)raw - (raw & 0x8000u ? 0x10000 : 0));
}

static float get_float(const uint8_t *at) {
    union {
        uint32_t bits;
        float value;
    } word = {.bits = get_u16(at) | get_u16(at + 2) << 16};
    return word.value;
}

static void get_integers(const uint8_t *at, float unit, int count, float *values) {
    for (int i = 0; i < count; i++) values[i] = get_i16(at + 2 * i) * unit;
}

static void get_floats(const uint8_t *at, int count, float *values) {
    for (int i = 0; i < count; i++) values[i] = get_float(at + 4 * i);
}

static void put_u16(uint8_t *at, uint32_t value) {
    const uint32_t kept = value < U16_MAX ? value : U16_MAX;
    at[0] = (uint8_t)(kept & 0xffu);
    at[1] = (uint8_t)(kept >> 8);
}

static void put_low_u16(uint8_t *at, uint32_t value) { put_u16(at, value & U16_MAX); }

static void put_u32(uint8_t *at, uint32_t value) {
    put_low_u16(at, value);
    put_low_u16(at + 2, value >> 16);
}

static void put_float(uint8_t *at, float value) {
    union {
        float value;
        uint32_t bits;
    } word = {.value = value};
    put_u32(at, word.bits);
}

/* 0..1 in steps of 1/65535; 0 for what is no such fraction, NaN included. */
static uint32_t fraction_steps(float fraction) {
    const float inside = fraction > 0.0f ? (fraction < 1.0f ? fraction : 1.0f) : 0.0f;
    return (uint32_t)(inside * FRACTION_STEPS + 0.5f);
}

/* 0 for an unknown kind */
static uint32_t length_of(uint32_t kind) {
    switch (kind) {
    case HIL_STATE:
    case HIL_STATE_ANGULAR:
        return 30;
    case HIL_STATE_LINEAR:
    case HIL_TARGET:
        return 28;
    case HIL_BEGIN:
        return 4;
    default:
        return 0;
    }
}

enum hil_refusal hil_check(const uint8_t *packet, uint32_t length) {
    const uint32_t expected = length > 0u ? length_of(packet[0]) : 0u;
    if (expected == 0u) return HIL_UNKNOWN_KIND;
    if (length != expected) return HIL_WRONG_LENGTH;
    if (packet[0] == HIL_TARGET && packet[2] >= SETPOINT_MODES) return HIL_WRONG_VALUE;
    if (packet[0] == HIL_BEGIN && (packet[2] >= SCHEDULES || packet[3] < 1u || packet[3] > HIL_PERIOD_MAX_MS))
        return HIL_WRONG_VALUE;
    return HIL_OK;
}

static void decode_condition(const uint8_t *at, struct hil_state *state) {
    state->age_ms = at[0];
    state->battery_low = at[1] & 1u;
    state->rotors_idle = at[1] >> 1 & 1u;
}

void hil_decode_state(const uint8_t *packet, struct hil_state *state) {
    get_integers(packet + 2, METRES_PER_MILLIMETRE, 3, state->position_world);
    get_integers(packet + 8, METRES_PER_MILLIMETRE, 3, state->velocity_world);
    get_integers(packet + 14, UNIT_PER_Q15, 4, state->quaternion_xyzw);
    get_integers(packet + 22, DEGREES_PER_MILLIRADIAN, 3, state->gyro_deg_s);
    decode_condition(packet + 28, state);
}

void hil_decode_linear(const uint8_t *packet, struct hil_state *state) {
    get_floats(packet + 2, 3, state->position_world);
    get_floats(packet + 14, 3, state->velocity_world);
    decode_condition(packet + 26, state);
}

void hil_decode_angular(const uint8_t *packet, struct hil_state *state) {
    get_floats(packet + 2, 4, state->quaternion_xyzw);
    get_floats(packet + 18, 3, state->gyro_deg_s);
}

void hil_decode_target(const uint8_t *packet, struct hil_target *target) {
    target->mode = packet[2];
    get_floats(packet + 4, 3, target->position_world);
    get_floats(packet + 16, 3, target->velocity_world);
}

void hil_decode_begin(const uint8_t *packet, struct hil_begin *begin) {
    begin->schedule = packet[2];
    begin->period_ms = packet[3];
}

static void head(uint8_t packet[HIL_PACKET_MAX], enum hil_kind kind, const struct hil_answer *answer) {
    packet[0] = (uint8_t)kind;
    packet[1] = (uint8_t)(answer->sequence & 0xffu);
    packet[2] = (uint8_t)(answer->guard & 0xffu);
    packet[3] =
        (uint8_t)((answer->controls_motors ? FLAG_CONTROLS : 0u) | (answer->self_test_passed ? FLAG_SELF_TEST : 0u) |
                  (answer->free_run ? FLAG_FREE_RUN : 0u) | (answer->failsafe & 3u) << FAILSAFE_SHIFT);
}

uint32_t hil_encode_answer(const struct hil_answer *answer, uint8_t packet[HIL_PACKET_MAX]) {
    head(packet, HIL_ANSWER, answer);
    for (int i = 0; i < 4; i++) put_u16(packet + 4 + 2 * i, fraction_steps(answer->motor_fraction[i]));
    put_u32(packet + 12, answer->received_us);
    put_u16(packet + 16, answer->wait_us);
    put_u16(packet + 18, answer->inference_us);
    put_u16(packet + 20, answer->tick_us);
    put_u16(packet + 22, answer->late_ticks);
    put_low_u16(packet + 24, answer->ticks);
    put_u32(packet + 26, answer->contract_hash);
    return 30;
}

uint32_t hil_encode_answer_exact(const struct hil_answer *answer, uint8_t packet[HIL_PACKET_MAX]) {
    head(packet, HIL_ANSWER_EXACT, answer);
    for (int i = 0; i < 4; i++) put_float(packet + 4 + 4 * i, answer->motor_fraction[i]);
    put_u16(packet + 20, answer->inference_us);
    put_u16(packet + 22, answer->tick_us);
    put_low_u16(packet + 24, answer->ticks);
    put_u32(packet + 26, answer->contract_hash);
    return 30;
}

uint32_t hil_encode_ready(const struct hil_ready *ready, uint8_t packet[HIL_PACKET_MAX]) {
    packet[0] = HIL_READY;
    packet[1] = (uint8_t)(ready->sequence & 0xffu);
    packet[2] = HIL_VERSION;
    packet[3] = (uint8_t)(ready->begin.schedule & 0xffu);
    packet[4] = (uint8_t)(ready->begin.period_ms & 0xffu);
    packet[5] = ready->self_test_passed ? 1 : 0;
    put_u32(packet + 6, ready->contract_hash);
    return 10;
}

uint32_t hil_encode_target_set(uint32_t sequence, uint8_t packet[HIL_PACKET_MAX]) {
    packet[0] = HIL_TARGET_SET;
    packet[1] = (uint8_t)(sequence & 0xffu);
    return 2;
}

uint32_t hil_encode_refusal(const uint8_t *refused, uint32_t length, enum hil_refusal reason,
                            uint8_t packet[HIL_PACKET_MAX]) {
    packet[0] = HIL_REFUSED;
    packet[1] = length > 1u ? refused[1] : 0;
    packet[2] = length > 0u ? refused[0] : 0;
    packet[3] = (uint8_t)reason;
    return 4;
}
