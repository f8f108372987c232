/* fuzz_flight.c: whatever a platform, a client or a broken sensor makes of struct flight_input, tick after tick.
 *
 * Properties: no undefined behaviour (the sanitizers watch); every output is finite and within its limits; the guard
 * says why the policy is off, and only then; nothing that counts runs backwards. Bytes are commands to the scene, so
 * that a fuzzer guided by coverage finds its way (libFuzzer: LLVMFuzzerTestOneInput); without one, main draws them.
 *
 *     fuzz_flight SEED TICKS
 */
#include <math.h>

#include "flight_state.h"
#include "fuzz.h"
#include "guard.h"
#include "scene.h"

enum { WORDS = sizeof(struct flight_input) / 4 };

union message {
    struct flight_input input;
    uint32_t words[WORDS];
};

static uint32_t word(struct bytes *bytes) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) value = value << 8 | byte(bytes);
    return value;
}

/* What floats can be: zeros, ones, denormals, huge, infinite, no number. */
static const uint32_t edges[] = {0x00000000u, 0x80000000u, 0x3f800000u, 0xbf800000u, 0x00000001u, 0x7f7fffffu,
                                 0xff7fffffu, 0x7f800000u, 0xff800000u, 0x7fc00000u, 0xffc00001u, 0x4b000000u};

static float small(struct bytes *bytes) { return (float)((int32_t)byte(bytes) - 128) * (1.0f / 64.0f); }

/* One way of changing the scene. */
static void change(union message *message, struct bytes *bytes) {
    struct flight_input *input = &message->input;
    const uint32_t kind = byte(bytes) % 16u;
    if (kind == 0)
        message->words[byte(bytes) % WORDS] = word(bytes);
    else if (kind == 1)
        message->words[byte(bytes) % WORDS] = edges[byte(bytes) % (sizeof edges / sizeof edges[0])];
    else if (kind == 2)
        *input = (struct flight_input){.time_ms = input->time_ms, .time_us = input->time_us};
    else if (kind == 3)
        input->time_ms += byte(bytes); /* late, or the same time twice: the tick adds 1 */
    else if (kind == 4)
        input->time_ms -= byte(bytes) % 4u;
    else if (kind == 5)
        input->reference = byte(bytes) % 8u;
    else if (kind == 6)
        input->setpoint_mode = byte(bytes) % 5u;
    else if (kind == 7)
        input->enable = byte(bytes) & 1u;
    else if (kind == 8)
        for (int i = 0; i < 3; i++) input->setpoint_velocity_world[i] = small(bytes);
    else if (kind == 9)
        for (int i = 0; i < 3; i++) input->position_world[i] = input->setpoint_position_world[i] + small(bytes);
    else if (kind == 10)
        for (int i = 0; i < 4; i++) input->quaternion_xyzw[i] = small(bytes); /* of any length */
    else if (kind == 11)
        for (int i = 0; i < 3; i++) input->gyro_deg_s[i] = 500.0f * small(bytes);
    else if (kind == 12)
        for (int i = 0; i < 3 * FLIGHT_WAYPOINTS_MAX; i++) input->waypoints[i] = small(bytes);
    else if (kind == 13)
        input->waypoint_count = byte(bytes) % 10u, input->waypoint_move = 0.45f + small(bytes) + 2.0f,
        input->waypoint_hold = small(bytes) + 1.0f;
    else if (kind == 14)
        input->rotors_idle = byte(bytes) & 1u, input->battery_low = byte(bytes) & 1u;
    else
        *input = scene_hover();
}

static uint32_t within(const float *x, int count, float low, float high) {
    for (int i = 0; i < count; i++)
        if (!(x[i] >= low && x[i] <= high)) return 0;
    return 1;
}

static void demand(uint32_t holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "fuzz_flight: %s\n", what);
    abort();
}

#define DEMAND(property) demand(property, #property)

static void check(const struct flight *flight, const struct flight_input *input, const struct flight_output *output) {
    const float *v = output->reference_velocity_world;
    DEMAND(output->controls_motors == (output->mode == FLIGHT_POLICY));
    DEMAND((output->guard == FLIGHT_GUARD_OK) == (output->mode == FLIGHT_POLICY));
    DEMAND(output->guard <= FLIGHT_GUARD_FENCE && output->guard_latched <= FLIGHT_GUARD_FENCE);
    DEMAND(output->failsafe <= FLIGHT_FAILSAFE_STOP);
    DEMAND(output->contract_hash == POLICY_CONTRACT_HASH32 && output->self_test_passed == 1u);
    DEMAND(within(output->action, 4, -1.0f, 1.0f));
    DEMAND(within(output->motor_fraction, 4, output->controls_motors ? POLICY_ACTION_LOW : 0.0f, POLICY_ACTION_HIGH));
    DEMAND(output->controls_motors || within(output->motor_fraction, 4, 0.0f, 0.0f));
    DEMAND(within(output->reference_position_world, 3, -1e7f, 1e7f));
    DEMAND(isfinite(v[0]) && isfinite(v[1]) && isfinite(v[2]));
    DEMAND(isfinite(output->period_bias_us) && isfinite(output->period_jitter_us) && output->period_jitter_us >= 0.0f);
    DEMAND(output->reference_over <= 1u && (output->controls_motors || !output->reference_over));
    /* the policy never flies on what is no number, and never while it is off */
    DEMAND(!output->controls_motors || (input->enable && isfinite(input->position_world[0])));
    DEMAND(!output->controls_motors || within(input->gyro_deg_s, 3, -1719.0f, 1719.0f));
    for (int i = 0; i < POLICY_INPUT_SIZE; i++)
        DEMAND(!output->controls_motors || isfinite(flight->executor.observation[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct flight flight;
    static struct flight_output output;
    struct bytes bytes = {.data = data, .left = size};
    union message message = {.input = scene_hover()};
    flight_init(&flight);
    uint32_t inferences = 0, misses = 0;
    while (bytes.left) {
        const uint32_t ticks = 1u + byte(&bytes) % 64u, changes = byte(&bytes) % 3u;
        for (uint32_t i = 0; i < changes; i++) change(&message, &bytes);
        if (ticks % 8u == 0) flight_sent(&flight, (const float *)&message.words[byte(&bytes) % (WORDS - 4)]);
        for (uint32_t i = 0; i < ticks; i++) {
            message.input.time_ms++, message.input.time_us += 1000;
            flight_tick(&flight, &message.input, &output);
            check(&flight, &message.input, &output);
            DEMAND(output.inferences >= inferences && output.deadline_misses >= misses);
            inferences = output.inferences, misses = output.deadline_misses;
            fuzz_policy_ticks += output.controls_motors, fuzz_ticks++;
        }
    }
    return 0;
}

#ifndef FLEDGE_LIBFUZZER
int main(int count, char **arguments) { return fuzz_main(count, arguments, 200000); }
#endif
