#include "board.h"
#include "check.h"

enum { TICKS = 200000, WORDS = sizeof(struct board_input) / 4 };

/* A number generator of the 64-bit congruential kind; its high bits are good enough to break things. */
static uint32_t next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 32);
}

union message {
    struct board_input input;
    uint32_t words[WORDS];
};

/* Any bits in any field, with enough sense left that the policy flies between the faults. */
static void corrupt(union message *message, uint64_t *seed) {
    struct flight_input *flight = &message->input.flight;
    *flight = (struct flight_input){.time_ms = flight->time_ms + 1,
                                    .enable = next(seed) % 64u != 0u,
                                    .reference = next(seed) >> 31,
                                    .setpoint_mode = next(seed) % 5u,
                                    .quaternion_xyzw = {0.0f, 0.0f, 0.0f, 1.0f},
                                    .figure_eight_period = 5.5f};
    message->input.motors_allowed = 1;
    if (next(seed) % 4u == 0u) message->words[next(seed) % WORDS] = next(seed);
    if (next(seed) % 4u == 0u) message->words[next(seed) % WORDS] = 0x7f7fffffu ^ (next(seed) & 0x80000000u);
}

/* Whatever comes in: no undefined behaviour (the sanitizers watch), and the motors get numbers from 0 to 1. */
int main(void) {
    static struct board board;
    static union message message;
    struct board_output output;
    uint64_t seed = 1;
    uint32_t flown = 0, finite = 1;
    board_start(&board);
    for (uint32_t tick = 0; tick < TICKS; tick++) {
        corrupt(&message, &seed);
        board_step(&board, &message.input, &output);
        for (int i = 0; i < 4; i++) finite &= output.motor_fraction[i] >= 0.0f && output.motor_fraction[i] <= 1.0f;
        flown += output.flight.controls_motors;
    }
    CHECK(finite);
    CHECK(flown > TICKS / 100);
    CHECK(output.ticks == TICKS);
    return check_result();
}
