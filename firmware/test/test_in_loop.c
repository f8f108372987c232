#include <string.h>

#include "check.h"
#include "in_loop.h"

enum { ROUNDS = 100000 };

static struct board board;
static struct plant plant;
static struct injection injection;
static struct board_input input;
static struct board_output output;
static struct board_channel channel;

static uint32_t next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 32);
}

static void start(uint32_t mode) {
    board_start(&board);
    plant_init(&plant);
    injection_init(&injection);
    in_loop_set_mode(&board, &injection, &input, &output, mode);
}

static void step(void) {
    input.flight.enable = 1;
    in_loop_step(&board, &injection, &plant, &input, &output, &channel);
    for (int i = 0; i < 4; i++) CHECK(output.motor_fraction[i] == 0.0f); /* whatever happens */
}

/* Sequence numbers count up on the whole, since what lags behind is ignored. */
static void put_random(uint64_t *seed, uint32_t round) {
    static const uint32_t lengths[6] = {0, 30, 28, 30, 28, 4};
    for (uint32_t i = 0; i < sizeof channel.data; i++) channel.data[i] = (uint8_t)(next(seed) >> 8);
    const uint32_t kind = next(seed) % 6u;
    channel.length = next(seed) % 8u ? lengths[kind] : next(seed);
    channel.data[0] = (uint8_t)kind, channel.data[1] = (uint8_t)(round / 16u + (channel.data[1] & 1)),
    channel.data[2] &= 1, channel.data[3] &= 3;
}

/* Any bytes of any length in any mode: the motors stay off, an answer is a packet, its fractions are fractions. */
static void test_any_packets(void) {
    uint64_t seed = 5;
    uint32_t answers = 0, fractions_ok = 1;
    start(HIL_OFF);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        if (next(&seed) % 1000u == 0u) in_loop_set_mode(&board, &injection, &input, &output, next(&seed) % 4u);
        put_random(&seed, round);
        in_loop_receive(&injection, &channel);
        CHECK(channel.length <= HIL_PACKET_MAX);
        step();
        if (channel.length == 0u || channel.data[0] != HIL_ANSWER_EXACT) continue;
        float fraction[4];
        memcpy(fraction, channel.data + 4, sizeof fraction);
        for (int i = 0; i < 4; i++) fractions_ok &= fraction[i] >= 0.0f && fraction[i] <= 1.0f;
        answers++;
    }
    CHECK(fractions_ok);
    CHECK(answers > 100);
}

/* The plant starts on the floor, flies up on the stock controller (the hand-made policy cannot fly), restarts there. */
static void test_simulated_from_the_floor(void) {
    start(HIL_SIMULATED);
    step();
    const float floor = plant.state[QUADROTOR_POSITION + 2];
    CHECK(floor < 0.1f);
    for (int i = 0; i < 6000; i++) in_loop_step(&board, &injection, &plant, &input, &output, &channel);
    CHECK_NEAR(plant.state[QUADROTOR_POSITION + 2], 1.0, 0.05);
    const uint8_t begin[4] = {HIL_BEGIN, 0, HIL_LOCKSTEP, 1};
    memcpy(channel.data, begin, sizeof begin);
    channel.length = sizeof begin;
    in_loop_receive(&injection, &channel);
    step();
    CHECK(channel.length == 10 && channel.data[0] == HIL_READY && plant.state[QUADROTOR_POSITION + 2] <= floor + 1e-3f);
}

/* Channel 13/2 carries up to 30 bytes; a longer length is cut, not read beyond the array. */
static void test_an_impossible_length(void) {
    start(HIL_INJECTED);
    channel.length = 0xffffffffu;
    channel.data[0] = HIL_STATE;
    in_loop_receive(&injection, &channel);
    CHECK(channel.length == 4 && channel.data[3] == HIL_WRONG_LENGTH);
}

int main(void) {
    test_any_packets();
    test_simulated_from_the_floor();
    test_an_impossible_length();
    return check_result();
}
