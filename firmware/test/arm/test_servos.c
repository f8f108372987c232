#include "servos.h"
#include "arm_scene.h"

static struct servos servos;
static struct uart uart;
static struct toy_servos toy;
static float target[ARM_JOINTS];

static void begin(void) {
    const struct arm_calibration calibration = arm_scene_calibration();
    servos_init(&servos, &calibration);
    uart_init(&uart);
    toy_init(&toy);
    servos_look(&servos);
}

/* Ticks until something has been sensed; the ticks, or 0 after `most`. */
static uint32_t until_sensed(uint32_t most) {
    for (uint32_t i = 1; i <= most; i++) {
        if (servos_tick(&servos, &uart, 1)) return i;
        toy_tick(&toy, &uart);
    }
    return 0;
}

static void drive(enum servos_wish wish) {
    servos_drive(&servos, &uart, wish, target);
    toy_tick(&toy, &uart);
}

/* Two looks with a set-up of five steps of 10 ms between them. */
static void test_start_sets_up(void) {
    begin();
    const uint32_t ticks = until_sensed(200);
    CHECK(ticks > 50 && ticks < 120);
    for (uint32_t j = 0; j < ARM_JOINTS; j++) {
        CHECK(toy.memory[j][7] == 0 && toy.memory[j][8] == 1 && toy.memory[j][21] == ARM_SERVO_P);
        CHECK(toy.memory[j][55] == 1 && servos.age_ms[j] <= 2);
    }
    CHECK(servos.trouble == SERVOS_FINE && servos.sets == 1);
}

/* What is right already is not written: it wears the memory. */
static void test_start_without_set_up(void) {
    begin();
    for (uint32_t j = 0; j < ARM_JOINTS; j++) toy.memory[j][7] = 0, toy.memory[j][21] = ARM_SERVO_P;
    const uint32_t ticks = until_sensed(100);
    CHECK(ticks > 0 && ticks < 30 && servos.sets == 0 && toy.memory[0][55] == 0);
}

static void test_missing(void) {
    begin();
    toy.silent = 1u << 3;
    CHECK(until_sensed(200) == 0 && servos.trouble == SERVOS_MISSING && servos.culprit == 3);
    toy.silent = 0;
    CHECK(until_sensed(200) != 0 && servos.trouble == SERVOS_FINE);
}

static void test_another_model(void) {
    begin();
    toy.memory[4][3] ^= 1u;
    CHECK(until_sensed(200) == 0 && servos.trouble == SERVOS_MODEL && servos.culprit == 4);
    toy.memory[4][3] ^= 1u;
    CHECK(until_sensed(200) != 0 && servos.trouble == SERVOS_FINE);
}

static void test_settings_do_not_stick(void) {
    begin();
    toy.deaf = 1u << 1;
    CHECK(until_sensed(600) == 0 && servos.trouble == SERVOS_SETTINGS && servos.culprit == 1);
    toy.deaf = 0;
    servos_look(&servos);
    CHECK(until_sensed(200) != 0);
}

/* Counts from 2048, 0.00153 rad each; velocities likewise; duty by thousandths; tenths of a volt. */
static void test_senses(void) {
    begin();
    until_sensed(200);
    drive(SERVOS_WISH_RELAX);
    toy_set_word(&toy, 0, 56, 2048 + 1024);
    toy_set_word(&toy, 1, 56, 1024);
    toy_set_word(&toy, 2, 58, 0x8000 | 652);
    toy_set_word(&toy, 3, 60, 1024 + 300);
    toy.memory[4][62] = 68, toy.memory[4][63] = 41, toy.error[5] = BUS_ERROR_ANGLE;
    CHECK(until_sensed(20) != 0);
    CHECK(servos.position[0] == 0.0f && servos.jumped == 0 && servos.age_ms[0] > 5); /* that is too far to be true */
    drive(SERVOS_WISH_RELAX);
    CHECK(until_sensed(20) != 0 && servos.jumped == 3u); /* but it is */
    CHECK_NEAR(servos.position[0], 1.5707963, 1e-6);
    CHECK_NEAR(servos.position[1], -1.5707963, 1e-6);
    CHECK_NEAR(servos.velocity[2], -1.00016, 1e-4);
    CHECK_NEAR(servos.load[3], -0.3, 1e-6);
    CHECK_NEAR(servos.voltage[4], 6.8, 1e-5);
    CHECK(servos.temperature[4] == 41.0f && servos.error[5] == BUS_ERROR_ANGLE);
}

static void test_calibration(void) {
    begin();
    servos.calibration.zero_counts[1] = 2000.0f, servos.calibration.direction[1] = -1.0f;
    until_sensed(200);
    CHECK_NEAR(servos.position[1], -48 * 2 * 3.14159265 / 4096, 1e-6);
    target[1] = 0.1f; /* 65.19 counts */
    drive(SERVOS_WISH_PREPARE);
    CHECK(toy_word(&toy, 1, 42) == 2000 - 65);
    target[1] = 0.0f;
}

/* Of 10 ms each, the silent asked once more in the same cycle, their age growing. */
static void test_cycles(void) {
    begin();
    until_sensed(200);
    drive(SERVOS_WISH_RELAX);
    CHECK(until_sensed(30) <= SERVOS_CYCLE_MS && servos.retries == 0);
    toy.silent = 1u << 2;
    for (uint32_t i = 1; i <= 3; i++) {
        drive(SERVOS_WISH_RELAX);
        CHECK(until_sensed(30) <= SERVOS_CYCLE_MS + 2 * SERVOS_PATIENCE_MS && servos.retries == i);
    }
    CHECK(servos.age_ms[2] > 25 && servos.age_ms[2] < 45 && servos.age_ms[1] <= 2 * SERVOS_PATIENCE_MS);
    toy.silent = 0;
    drive(SERVOS_WISH_RELAX);
    until_sensed(30);
    CHECK(servos.age_ms[2] == 0);
}

/* Goals first; torque afterwards; who has not taken its goal is known. */
static void test_engages(void) {
    begin();
    until_sensed(200);
    toy.deaf = 1u << 4;
    target[0] = 0.01f; /* 6.5 counts */
    drive(SERVOS_WISH_PREPARE);
    until_sensed(30);
    CHECK(servos.prepared == (BUS_ALL & ~(1u << 4)) && toy_word(&toy, 0, 42) == 2055);
    CHECK(toy_word(&toy, 5, 48) == 500 && toy_word(&toy, 0, 48) == 1000);
    toy.deaf = 0;
    drive(SERVOS_WISH_PREPARE);
    until_sensed(30);
    CHECK(servos.prepared == BUS_ALL && toy.memory[0][40] == 0);
    drive(SERVOS_WISH_ENGAGE);
    until_sensed(30);
    CHECK(toy.memory[0][40] == 1 && servos.torque == BUS_ALL && toy.jump == 7);
    target[0] = 0.0f;
}

/* Within six cycles it is known that one has lost its torque. */
static void test_audits_torque(void) {
    begin();
    until_sensed(200);
    drive(SERVOS_WISH_ENGAGE);
    until_sensed(30);
    toy.memory[3][40] = 0;
    uint32_t cycles = 0;
    for (; cycles < 10 && servos.torque == BUS_ALL; cycles++) drive(SERVOS_WISH_FOLLOW), until_sensed(30);
    CHECK(cycles <= ARM_JOINTS + 1 && servos.torque == (BUS_ALL & ~(1u << 3)));
}

/* One bit in 97 bytes is wrong: packets are lost, but nothing is misread. */
static void test_noise(void) {
    begin();
    toy.spoil = 97;
    CHECK(until_sensed(2000) != 0);
    for (uint32_t i = 0; i < 200; i++) {
        drive(SERVOS_WISH_RELAX);
        until_sensed(30);
        for (uint32_t j = 0; j < ARM_JOINTS; j++) CHECK(servos.position[j] == 0.0f && servos.temperature[j] == 30.0f);
    }
    CHECK(servos.retries > 50 && servos.bus.wrong_checksums > 50);
}

static void test_echo(void) {
    begin();
    toy.echo = 1;
    CHECK(until_sensed(200) != 0 && servos.trouble == SERVOS_FINE);
}

int main(void) {
    test_start_sets_up();
    test_start_without_set_up();
    test_missing();
    test_another_model();
    test_settings_do_not_stick();
    test_senses();
    test_calibration();
    test_cycles();
    test_engages();
    test_audits_torque();
    test_noise();
    test_echo();
    return check_result();
}
