#include "injection.h"

#define START_HEIGHT 1.0f /* [m], where the simulated drone is asked to hover unless it is told otherwise */

static const struct hil_target no_target = {.mode = FLIGHT_SETPOINT_NONE};
static const struct hil_target hover_target = {.mode = FLIGHT_SETPOINT_POSITION,
                                               .position_world = {0.0f, 0.0f, START_HEIGHT}};

static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

static void restart(struct injection *injection) {
    injection->starting = 1;
    injection->announce = injection->half = 0;
    injection->ticks = injection->late_ticks = injection->ticks_left = 0;
    injection->unanswered = injection->has_state = injection->held_ms = 0;
    injection->wait_us = injection->inference_us = injection->tick_us = 0;
    injection->answer_length = injection->ready_length = 0;
    injection->aimed = 0;
}

void injection_set_mode(struct injection *injection, enum hil_mode mode) {
    injection->mode = mode;
    injection->begun = mode == HIL_SIMULATED;
    injection->schedule = (struct hil_begin){.schedule = HIL_LOCKSTEP, .period_ms = 1};
    injection->target = mode == HIL_SIMULATED ? hover_target : no_target;
    injection->run = 0;
    restart(injection);
}

void injection_init(struct injection *injection) {
    injection->time_ms = 0;
    injection->exact = injection->sequence = injection->received_us = 0;
    for (uint32_t i = 0; i < HIL_PACKET_MAX; i++) injection->answer[i] = injection->ready[i] = 0;
    injection->state = injection->linear = (struct hil_state){.quaternion_xyzw = {0.0f, 0.0f, 0.0f, 1.0f}};
    injection_set_mode(injection, HIL_OFF);
}

enum hil_refusal injection_mode_refusal(uint32_t wanted, uint32_t armed) {
    if (wanted > HIL_SIMULATED) return HIL_WRONG_VALUE;
    return armed ? HIL_ARMED : HIL_OK;
}

/* ---- packets ------------------------------------------------------------------------------------------------------
 */

static uint32_t copy(const uint8_t *packet, uint32_t length, uint8_t reply[HIL_PACKET_MAX]) {
    for (uint32_t i = 0; i < HIL_PACKET_MAX; i++) reply[i] = packet[i];
    return length;
}

/* The same number again is the same run: the answer is repeated, if there is one yet. */
static uint32_t begin(struct injection *injection, const uint8_t *packet, uint8_t reply[HIL_PACKET_MAX]) {
    if (injection->run == packet[1] + 1u) return copy(injection->ready, injection->ready_length, reply);
    hil_decode_begin(packet, &injection->schedule);
    restart(injection);
    injection->begun = 1;
    injection->announce = injection->run = packet[1] + 1u;
    return 0;
}

/* Sequence numbers count up and wrap: one that lags comes late or twice. */
static uint32_t lags(uint32_t sequence, uint32_t newest) { return ((sequence - newest) & 0xffu) > 0x7fu; }

/* Overtaken by a newer one of its kind. */
static uint32_t comes_late(const struct injection *injection, const uint8_t *packet) {
    if (packet[0] == HIL_BEGIN) return 0;
    if (packet[0] == HIL_TARGET) return injection->aimed && lags(packet[1] + 1u, injection->aimed);
    return injection->has_state && lags(packet[1], injection->sequence);
}

/* The newest state once more: its answer may have been lost. */
static uint32_t is_again(const struct injection *injection, const uint8_t *packet) {
    return injection->has_state && injection->sequence == packet[1];
}

static enum hil_refusal state_refusal(const struct injection *injection, const uint8_t *packet) {
    if (injection->mode != HIL_INJECTED) return HIL_WRONG_MODE;
    if (!injection->begun || injection->announce) return HIL_NOT_BEGUN;
    if (is_again(injection, packet)) return HIL_OK;
    if (injection->unanswered && injection->schedule.schedule == HIL_LOCKSTEP) return HIL_BUSY;
    if (packet[0] == HIL_STATE_ANGULAR && injection->half != packet[1] + 1u) return HIL_HALF_MISSING;
    return HIL_OK;
}

static enum hil_refusal refusal(const struct injection *injection, const uint8_t *packet) {
    if (injection->mode == HIL_OFF) return HIL_WRONG_MODE;
    return packet[0] == HIL_BEGIN || packet[0] == HIL_TARGET ? HIL_OK : state_refusal(injection, packet);
}

static void take_state(struct injection *injection, const uint8_t *packet, uint32_t now_us) {
    injection->exact = packet[0] == HIL_STATE_ANGULAR;
    if (injection->exact) {
        injection->state = injection->linear;
        hil_decode_angular(packet, &injection->state);
    } else {
        hil_decode_state(packet, &injection->state);
    }
    injection->half = 0;
    injection->sequence = packet[1];
    injection->has_state = injection->unanswered = 1;
    injection->ticks_left = injection->schedule.period_ms;
    injection->held_ms = 0;
    injection->received_us = now_us;
}

/* The answer to a state that was sent again: the old one; none yet if it still runs. */
static uint32_t repeat(const struct injection *injection, uint8_t reply[HIL_PACKET_MAX]) {
    return injection->unanswered ? 0 : copy(injection->answer, injection->answer_length, reply);
}

static uint32_t receive_state(struct injection *injection, const uint8_t *packet, uint32_t now_us,
                              uint8_t reply[HIL_PACKET_MAX]) {
    const uint32_t again = is_again(injection, packet);
    if (packet[0] == HIL_STATE_LINEAR) {
        if (again) return 0; /* its second half gets the answer */
        hil_decode_linear(packet, &injection->linear);
        injection->half = packet[1] + 1u;
        return 0;
    }
    if (again) return repeat(injection, reply);
    take_state(injection, packet, now_us);
    return 0;
}

uint32_t injection_receive(struct injection *injection, const uint8_t *packet, uint32_t length, uint32_t now_us,
                           uint8_t reply[HIL_PACKET_MAX]) {
    enum hil_refusal reason = hil_check(packet, length);
    if (reason == HIL_OK && comes_late(injection, packet)) return 0;
    if (reason == HIL_OK) reason = refusal(injection, packet);
    if (reason != HIL_OK) return hil_encode_refusal(packet, length, reason, reply);
    switch (packet[0]) {
    case HIL_BEGIN:
        return begin(injection, packet, reply);
    case HIL_TARGET:
        hil_decode_target(packet, &injection->target);
        injection->aimed = packet[1] + 1u;
        return hil_encode_target_set(packet[1], reply);
    default:
        return receive_state(injection, packet, now_us, reply);
    }
}

/* ---- ticks --------------------------------------------------------------------------------------------------------
 */

static uint32_t is_due(const struct injection *injection) {
    if (injection->mode == HIL_OFF) return 0;
    if (injection->mode == HIL_SIMULATED || injection->announce) return 1;
    if (injection->schedule.schedule == HIL_FREE_RUN) return injection->has_state;
    return injection->ticks_left > 0u;
}

static void fill_state(const struct injection *injection, struct flight_input *input) {
    const struct hil_state *state = &injection->state;
    for (int i = 0; i < 3; i++) {
        input->position_world[i] = state->position_world[i];
        input->velocity_world[i] = state->velocity_world[i];
        input->gyro_deg_s[i] = state->gyro_deg_s[i];
    }
    for (int i = 0; i < 4; i++) input->quaternion_xyzw[i] = state->quaternion_xyzw[i];
    input->state_age_ms = state->age_ms + injection->held_ms;
    input->position_variance = 0.0f;
    input->battery_low = state->battery_low;
    input->rotors_idle = state->rotors_idle;
}

static void fill_setpoint(const struct injection *injection, struct flight_input *input) {
    input->setpoint_mode = injection->target.mode;
    input->setpoint_age_ms = injection->held_ms;
    for (int i = 0; i < 3; i++) {
        input->setpoint_position_world[i] = injection->target.position_world[i];
        input->setpoint_velocity_world[i] = injection->target.velocity_world[i];
    }
}

uint32_t injection_tick(struct injection *injection, uint32_t now_us, struct flight_input *input) {
    if (!is_due(injection)) return 0;
    if (injection->unanswered && injection->held_ms == 0u) injection->wait_us = now_us - injection->received_us;
    input->time_ms = ++injection->time_ms;
    input->time_us = injection->schedule.schedule == HIL_FREE_RUN ? now_us : 1000u * injection->time_ms;
    injection->ticks++;
    if (injection->starting) input->enable = 0;
    input->rotors_idle = 0; /* those of the platform are, but they are not what flies */
    if (injection->mode == HIL_INJECTED) fill_state(injection, input);
    fill_setpoint(injection, input);
    if (injection->mode == HIL_INJECTED && injection->has_state) injection->held_ms++;
    return 1;
}

static uint32_t settle_begin(struct injection *injection, const struct flight_output *flight,
                             uint8_t reply[HIL_PACKET_MAX]) {
    const struct hil_ready ready = {.sequence = injection->announce - 1u,
                                    .begin = injection->schedule,
                                    .self_test_passed = flight->self_test_passed,
                                    .contract_hash = flight->contract_hash};
    injection->announce = injection->ticks = injection->late_ticks = 0;
    injection->ready_length = hil_encode_ready(&ready, injection->ready);
    return copy(injection->ready, injection->ready_length, reply);
}

static uint32_t settle_state(struct injection *injection, const struct injection_report *report,
                             uint8_t reply[HIL_PACKET_MAX]) {
    const struct hil_answer answer = {.sequence = injection->sequence,
                                      .guard = report->flight->guard,
                                      .failsafe = report->flight->failsafe,
                                      .controls_motors = report->flight->controls_motors,
                                      .self_test_passed = report->flight->self_test_passed,
                                      .free_run = injection->schedule.schedule == HIL_FREE_RUN,
                                      .motor_fraction = {report->motor_fraction[0], report->motor_fraction[1],
                                                         report->motor_fraction[2], report->motor_fraction[3]},
                                      .received_us = injection->received_us,
                                      .wait_us = injection->wait_us,
                                      .inference_us = injection->inference_us,
                                      .tick_us = injection->tick_us,
                                      .late_ticks = injection->late_ticks,
                                      .ticks = injection->ticks,
                                      .contract_hash = report->flight->contract_hash};
    injection->unanswered = 0;
    injection->inference_us = injection->tick_us = 0;
    injection->answer_length = injection->exact ? hil_encode_answer_exact(&answer, injection->answer)
                                                : hil_encode_answer(&answer, injection->answer);
    return repeat(injection, reply);
}

uint32_t injection_settle(struct injection *injection, const struct injection_report *report,
                          uint8_t reply[HIL_PACKET_MAX]) {
    injection->inference_us = larger(injection->inference_us, report->inference_us);
    injection->tick_us = larger(injection->tick_us, report->tick_us);
    injection->late_ticks += report->tick_us > INJECTION_BUDGET_US;
    injection->starting = 0;
    if (injection->announce) return settle_begin(injection, report->flight, reply);
    if (injection->mode != HIL_INJECTED || !injection->unanswered) return 0;
    const uint32_t lockstep = injection->schedule.schedule == HIL_LOCKSTEP;
    if (lockstep && injection->ticks_left > 0u) injection->ticks_left--;
    return lockstep && injection->ticks_left > 0u ? 0 : settle_state(injection, report, reply);
}
