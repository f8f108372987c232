/* One row of the table of guards after the other: what brings it about, that it stops the policy, what is done, and
 * what it takes to go on. */
#include "arm_guard.h"
#include "arm_scene.h"

static struct arm_scene scene;

/* The arm holds: torque on, the targets are where they were. */
static void check_holds(void) {
    CHECK(scene.output.mode == ARM_HOLDING && scene.output.torque != 0);
    for (int j = 0; j < ARM_JOINTS; j++) CHECK(scene.output.target[j] == scene.before.target[j]);
}

static void check_relaxed(void) {
    CHECK(scene.output.mode == ARM_RELAXED && scene.output.torque == 0);
    arm_scene_run(&scene, 20);
    for (int j = 0; j < ARM_JOINTS; j++) CHECK(scene.toy.memory[j][40] == 0 || scene.toy.silent >> j & 1u);
}

/* Latched: asking again for the policy does not release it, holding (relaxing, after the arm was let go) does. */
static void check_latch(enum arm_guard guard) {
    arm_scene_run(&scene, 100);
    CHECK(scene.output.guard == guard && scene.output.guard_latched == guard && scene.output.mode != ARM_MOVING);
    const uint32_t relaxed = scene.output.mode == ARM_RELAXED;
    scene.input.command = ARM_COMMAND_HOLD;
    arm_scene_run(&scene, 100);
    CHECK(scene.output.guard_latched == (relaxed ? guard : ARM_GUARD_OK));
    if (relaxed) scene.input.command = ARM_COMMAND_RELAX;
    arm_scene_run(&scene, 30);
    scene.input.command = ARM_COMMAND_MOVE;
    arm_scene_run(&scene, 500);
    CHECK(scene.output.mode == ARM_MOVING && scene.output.guard == ARM_GUARD_OK);
}

/* fault: statement that brings it about. heal: that takes it away. within: most milliseconds until it is named. */
#define ROW(fault, heal, expected, within)                                                                             \
    do {                                                                                                               \
        arm_scene_moving(&scene);                                                                                      \
        fault;                                                                                                         \
        const uint32_t row_ms = arm_scene_until(&scene, expected, within);                                             \
        if (!row_ms) printf("line %d: guard %u\n", __LINE__, scene.output.guard);                                      \
        CHECK(row_ms && scene.output.guard_latched == expected && scene.output.mode != ARM_MOVING);                    \
        for (int row_j = 0; row_j < ARM_JOINTS; row_j++) CHECK(scene.output.action[row_j] == 0.0f);                    \
        const enum arm_reaction row_reaction = arm_reaction(expected);                                                 \
        if (row_reaction == ARM_RELAX)                                                                                 \
            check_relaxed();                                                                                           \
        else if (row_reaction == ARM_HOLD || row_reaction == ARM_HOLD_THEN_RELAX)                                      \
            check_holds();                                                                                             \
        else                                                                                                           \
            CHECK(scene.output.mode == ARM_HOLDING);                                                                   \
        heal;                                                                                                          \
        check_latch(expected);                                                                                         \
    } while (0)

/* What lasts ends in letting go. */
#define LASTS(fault, expected, after_ms)                                                                               \
    do {                                                                                                               \
        arm_scene_moving(&scene);                                                                                      \
        fault;                                                                                                         \
        CHECK(arm_scene_until(&scene, expected, after_ms));                                                            \
        CHECK(scene.output.mode == ARM_HOLDING);                                                                       \
        arm_scene_run(&scene, ARM_HOLD_MS - 20);                                                                       \
        CHECK(scene.output.mode == ARM_HOLDING);                                                                       \
        arm_scene_run(&scene, 60);                                                                                     \
        CHECK(scene.output.guard == expected);                                                                         \
        check_relaxed();                                                                                               \
    } while (0)

static void test_bus(void) {
    ROW(scene.toy.silent = 1u << 4, scene.toy.silent = 0, ARM_GUARD_BUS, 80);
    CHECK(scene.output.cycles > 10);
    LASTS(scene.toy.silent = BUS_ALL, ARM_GUARD_BUS, 80);
    arm_scene_moving(&scene);
    scene.toy.silent = 1u << 4;
    arm_scene_run(&scene, 40); /* two or three lost cycles are forgiven */
    scene.toy.silent = 0;
    arm_scene_run(&scene, 40);
    CHECK(scene.output.mode == ARM_MOVING && scene.output.retries > 0);
}

static void test_heat(void) {
    ROW(scene.toy.memory[2][63] = 61, scene.toy.memory[2][63] = 40, ARM_GUARD_HEAT, 45);
    ROW(scene.toy.error[1] = BUS_ERROR_HEAT, scene.toy.error[1] = 0, ARM_GUARD_HEAT, 45);
    arm_scene_moving(&scene);
    scene.toy.memory[2][63] = 60;
    arm_scene_run(&scene, 100);
    CHECK(scene.output.mode == ARM_MOVING);
}

/* 7.4 V: 0.75 of it is 5.55 V, 1.2 of it 8.88 V. */
static void test_voltage(void) {
    ROW(arm_scene_set(&scene, 62, 89), arm_scene_set(&scene, 62, 74), ARM_GUARD_HIGH, 45);
    ROW(arm_scene_set(&scene, 62, 55), arm_scene_set(&scene, 62, 74), ARM_GUARD_LOW, ARM_LOW_MS + 15);
    arm_scene_moving(&scene);
    for (int i = 0; i < 4; i++) { /* sags of a moment, and what is just within */
        arm_scene_set(&scene, 62, 50);
        arm_scene_run(&scene, ARM_LOW_MS - 20);
        arm_scene_set(&scene, 62, i % 2 ? 88 : 56);
        arm_scene_run(&scene, 20);
    }
    CHECK(scene.output.mode == ARM_MOVING);
}

static void test_servo(void) {
    ROW(scene.toy.error[3] = BUS_ERROR_ANGLE, scene.toy.error[3] = 0, ARM_GUARD_SERVO, 45);
    ROW(scene.toy.error[0] = BUS_ERROR_CURRENT, scene.toy.error[0] = 0, ARM_GUARD_SERVO, 45);
    LASTS(scene.toy.error[0] = BUS_ERROR_CURRENT, ARM_GUARD_SERVO, 45);
    arm_scene_moving(&scene);
    scene.toy.error[3] = BUS_ERROR_VOLTAGE; /* what we measure ourselves */
    arm_scene_run(&scene, 100);
    CHECK(scene.output.mode == ARM_MOVING);
}

static void test_torque(void) { LASTS(scene.toy.memory[5][40] = 0, ARM_GUARD_TORQUE, 90); }

static void set_load(uint32_t duty) { toy_set_word(&scene.toy, 1, 60, duty); }

static void test_overload(void) {
    ROW(scene.toy.error[1] = BUS_ERROR_OVERLOAD, scene.toy.error[1] = 0, ARM_GUARD_OVERLOAD, 15);
    ROW(set_load(1024 + 900), set_load(100), ARM_GUARD_OVERLOAD, ARM_OVERLOAD_MS + 15);
    LASTS(set_load(900), ARM_GUARD_OVERLOAD, ARM_OVERLOAD_MS + 15);
    arm_scene_moving(&scene);
    for (int i = 0; i < 3; i++) {
        set_load(900);
        arm_scene_run(&scene, ARM_OVERLOAD_MS - 50);
        set_load(710); /* 0.9 * 5.312 / rad * 0.15 rad = 0.717 */
        arm_scene_run(&scene, 20);
    }
    CHECK(scene.output.mode == ARM_MOVING);
}

/* Yielding: the targets go where the joints are. */
static void test_yields(void) {
    arm_scene_moving(&scene);
    scene.toy.stuck = 0;
    toy_set_word(&scene.toy, 0, 56, 2048 - 60); /* 0.092 rad behind the target */
    scene.toy.error[0] = BUS_ERROR_OVERLOAD;
    CHECK(arm_scene_until(&scene, ARM_GUARD_OVERLOAD, 15));
    CHECK_NEAR(scene.output.target[0], -60 * 2 * 3.14159265 / 4096, 1e-6);
}

/* In a cycle of 10 ms a joint comes 0.1 rad far and 0.1 rad are forgiven: 130 counts. */
static void test_jump(void) {
    ROW((scene.toy.stuck = 3, toy_set_word(&scene.toy, 3, 56, 2048 + 300)), scene.toy.stuck = -1, ARM_GUARD_JUMP, 25);
    arm_scene_moving(&scene);
    scene.toy.stuck = 0;
    toy_set_word(&scene.toy, 0, 56, 2048 + 100);
    arm_scene_run(&scene, 30);
    CHECK(scene.output.mode == ARM_MOVING);
}

/* An encoder that slipped would take its joint along: the goal follows it. */
static void test_yields_to_a_jump(void) {
    arm_scene_moving(&scene);
    scene.toy.stuck = 0;
    toy_set_word(&scene.toy, 0, 56, 2048 + 300);
    CHECK(arm_scene_until(&scene, ARM_GUARD_JUMP, 25));
    arm_scene_run(&scene, 2);
    CHECK(toy_word(&scene.toy, 0, 42) == 2048 + 300 && scene.output.mode == ARM_HOLDING);
}

/* A broken answer that passes its checksum once changes nothing. */
static void test_doubts(void) {
    arm_scene_moving(&scene);
    for (int i = 0; i < 5; i++) {
        scene.toy.stuck = 0;
        toy_set_word(&scene.toy, 0, 56, 2048 + 300);
        scene.toy.memory[2][63] = 99, scene.toy.memory[3][62] = 200, scene.toy.error[4] = BUS_ERROR_ANGLE;
        arm_scene_run(&scene, 10);
        toy_set_word(&scene.toy, 0, 56, 2048);
        scene.toy.memory[2][63] = 30, scene.toy.memory[3][62] = 74, scene.toy.error[4] = 0;
        arm_scene_run(&scene, 20);
        CHECK_NEAR(scene.output.position[0], 0.0, 1e-6);
    }
    CHECK(scene.output.mode == ARM_MOVING);
}

/* The gripper's upper limit is 1.745 rad, and 0.1 rad are forgiven: 1202 counts. */
static void test_limit(void) {
    arm_scene_moving(&scene);
    scene.toy.stuck = 5;
    for (uint32_t counts = 2048; counts < 2048 + 1195; counts += 60) {
        toy_set_word(&scene.toy, 5, 56, counts);
        arm_scene_run(&scene, 10);
        scene.arm.target[5] = scene.arm.servos.position[5]; /* somebody moves it by hand, slowly */
    }
    CHECK(scene.output.mode == ARM_MOVING);
    toy_set_word(&scene.toy, 5, 56, 2048 + 1205);
    CHECK(arm_scene_until(&scene, ARM_GUARD_LIMIT, 15));
    CHECK(scene.output.culprit == 5 && scene.output.mode == ARM_HOLDING);
    arm_scene_moving(&scene); /* the lower one is -0.175 rad: 179 counts */
    scene.toy.stuck = 5;
    toy_set_word(&scene.toy, 5, 56, 2048 - 90);
    arm_scene_run(&scene, 20);
    toy_set_word(&scene.toy, 5, 56, 2048 - 176);
    arm_scene_run(&scene, 20);
    CHECK(scene.output.mode == ARM_MOVING);
    toy_set_word(&scene.toy, 5, 56, 2048 - 182);
    CHECK(arm_scene_until(&scene, ARM_GUARD_LIMIT, 15) && scene.output.culprit == 5);
}

static void test_policy(void) {
    ROW(scene.input.goal_base[2] = NAN, scene.input.goal_base[2] = 0.2265f, ARM_GUARD_NOT_FINITE, 15);
    ROW(scene.input.goal_base[0] = -11.0f, scene.input.goal_base[0] = 0.3914f, ARM_GUARD_NOT_FINITE, 15);
    ROW(scene.input.goal_base[5] = INFINITY, scene.input.goal_base[5] = 0.2f, ARM_GUARD_NOT_FINITE, 15);
    ROW(scene.input.goal_age_ms = 501, scene.input.goal_age_ms = 0, ARM_GUARD_STALE, 15);
    ROW(scene.input.goal_base[0] = -0.5f, scene.input.goal_base[0] = 0.3914f, ARM_GUARD_GOAL, 15);
    ROW(scene.input.goal_base[3] = 1.2f, scene.input.goal_base[3] = 0.4f, ARM_GUARD_GOAL, 15);
    ROW(scene.input.goal_base[1] = 0.3f, scene.input.goal_base[1] = 0.0f, ARM_GUARD_ACTION, 25);
    ROW(toy_set_word(&scene.toy, 3, 58, 5300), toy_set_word(&scene.toy, 3, 58, 0), ARM_GUARD_VELOCITY, 15);
    arm_scene_moving(&scene);
    scene.input.goal_age_ms = 500;
    arm_scene_run(&scene, 50);
    CHECK(scene.output.mode == ARM_MOVING);
}

static void test_pads(void) {
    ROW(scene.pads.silent = 1, scene.pads.silent = 0, ARM_GUARD_PADS, 75);
    ROW(scene.pads.spoil = 50, scene.pads.spoil = 0, ARM_GUARD_PADS, 75);
    ROW(scene.pads.repeats = 1, scene.pads.repeats = 0, ARM_GUARD_PADS, 75);
    ROW(scene.pads.frozen = 2, scene.pads.frozen = 0, ARM_GUARD_PAD_STUCK, ARM_PAD_STUCK_MS + 30);
    ROW(scene.pads.cells[50] = 31000, scene.pads.cells[50] = 31, ARM_GUARD_PAD_FULL, ARM_WRONG_MS + 25);
    ROW(scene.pads.cells[5] = INT16_MIN, scene.pads.cells[5] = 5, ARM_GUARD_PAD_FULL, ARM_WRONG_MS + 25);
    LASTS(scene.pads.silent = 1, ARM_GUARD_PADS, 75);
    LASTS(scene.pads.frozen = 1, ARM_GUARD_PAD_STUCK, ARM_PAD_STUCK_MS + 30);
    LASTS(scene.pads.cells[50] = 31000, ARM_GUARD_PAD_FULL, ARM_WRONG_MS + 25);
    CHECK(scene.output.culprit == 1);
    arm_scene_moving(&scene); /* one trouble after the other: it does not begin to wait anew */
    scene.pads.frozen = 1;
    CHECK(arm_scene_until(&scene, ARM_GUARD_PAD_STUCK, ARM_PAD_STUCK_MS + 30));
    scene.pads.silent = 1;
    arm_scene_run(&scene, ARM_HOLD_MS - 20);
    CHECK(scene.output.mode == ARM_HOLDING);
    arm_scene_run(&scene, 60);
    CHECK(scene.output.guard == ARM_GUARD_PAD_STUCK);
    check_relaxed();
    arm_scene_moving(&scene);
    for (int i = 0; i < 5; i++) { /* what a frame says once, and frames that are lost now and then */
        scene.pads.cells[50] = 31000;
        arm_scene_run(&scene, 20);
        scene.pads.cells[50] = 31, scene.pads.silent = 1;
        arm_scene_run(&scene, 40);
        scene.pads.silent = 0;
        arm_scene_run(&scene, 40);
    }
    CHECK(scene.output.mode == ARM_MOVING && scene.output.pads_frames > 20 && scene.output.pads_age_ms < 12);
}

/* Who holds, feels nothing; but nothing moves an arm that does not feel. */
static void test_pads_before_moving(void) {
    arm_scene_init(&scene);
    scene.pads.silent = 1;
    scene.input.command = ARM_COMMAND_HOLD;
    arm_scene_run(&scene, 400);
    CHECK(scene.output.mode == ARM_HOLDING && scene.output.guard == ARM_GUARD_COMMAND);
    scene.input.command = ARM_COMMAND_MOVE;
    arm_scene_run(&scene, 1000);
    CHECK(scene.output.mode == ARM_HOLDING && scene.output.guard == ARM_GUARD_PADS);
    CHECK(scene.output.guard_latched == ARM_GUARD_OK && scene.output.inferences == 0);
    scene.pads.silent = 0;
    arm_scene_run(&scene, 40);
    CHECK(scene.output.mode == ARM_MOVING);
}

/* 0.6 rad between target and joint, of a joint that the policy does not move. */
static void test_stretch(void) {
    arm_scene_moving(&scene);
    scene.arm.target[4] = 0.59f;
    scene.toy.stuck = 4;
    arm_scene_run(&scene, 30);
    CHECK(scene.output.mode == ARM_MOVING);
    scene.arm.target[4] = 0.61f;
    CHECK(arm_scene_until(&scene, ARM_GUARD_STRETCH, 15));
    CHECK(scene.output.culprit == 4 && scene.output.target[4] == 0.0f);
}

static void test_clock(void) {
    ROW(scene.input.time_ms += ARM_PERIOD_MAX_MS, (void)0, ARM_GUARD_CALL_PERIOD, 15);
    ROW(scene.input.time_ms -= 5, (void)0, ARM_GUARD_CALL_PERIOD, 15);
    arm_scene_moving(&scene);
    for (int i = 0; i < ARM_LATE_MAX; i++) scene.input.time_ms++, arm_scene_run(&scene, 1);
    arm_scene_run(&scene, ARM_LATE_WINDOW);
    CHECK(scene.output.mode == ARM_MOVING && scene.output.deadline_misses == ARM_LATE_MAX);
    for (int i = 0; i <= ARM_LATE_MAX; i++) scene.input.time_ms++, arm_scene_run(&scene, 1);
    CHECK(arm_scene_until(&scene, ARM_GUARD_CALL_PERIOD, 15));
}

/* Wrong weights: it holds, but the policy never moves it. */
static void test_self_test(void) {
    arm_scene_init(&scene);
    hand_policy_self_test_result = 1;
    const struct arm_calibration calibration = arm_scene_calibration();
    arm_init(&scene.arm, &calibration);
    scene.input.command = ARM_COMMAND_MOVE;
    arm_scene_run(&scene, 400);
    CHECK(scene.output.mode == ARM_HOLDING && scene.output.guard == ARM_GUARD_SELF_TEST);
    CHECK(scene.output.inferences == 0 && scene.output.self_test_passed == 0);
    hand_policy_self_test_result = 0;
}

/* What is wrong before torque comes on only delays it. */
static void test_start(void) {
    arm_scene_init(&scene);
    scene.input.command = ARM_COMMAND_HOLD;
    arm_scene_run(&scene, 5);
    CHECK(scene.output.guard == ARM_GUARD_STARTING);
    scene.toy.silent = 1u << 2;
    CHECK(arm_scene_until(&scene, ARM_GUARD_MISSING, 200));
    CHECK(scene.output.culprit == 2 && scene.output.mode == ARM_STARTING && scene.output.torque == 0);
    scene.toy.silent = 0;
    scene.toy.memory[1][3] = 1;
    CHECK(arm_scene_until(&scene, ARM_GUARD_MODEL, 200));
    scene.toy.memory[1][3] = ARM_SERVO_MODEL & 0xff;
    scene.toy.memory[0][21] = 16, scene.toy.deaf = 1u;
    CHECK(arm_scene_until(&scene, ARM_GUARD_SETTINGS, 1000));
    scene.toy.deaf = 0;
    scene.toy.memory[0][7] = 0, scene.toy.memory[0][21] = ARM_SERVO_P;
    arm_scene_set(&scene, 63, 70);
    CHECK(arm_scene_until(&scene, ARM_GUARD_HEAT, 200));
    arm_scene_run(&scene, 50);
    CHECK(scene.output.torque == 0 && scene.output.guard_latched == ARM_GUARD_OK);
    arm_scene_set(&scene, 63, 30);
    CHECK(arm_scene_until(&scene, ARM_GUARD_COMMAND, 100) && scene.output.mode == ARM_HOLDING);
}

int main(void) {
    test_bus();
    test_heat();
    test_voltage();
    test_servo();
    test_torque();
    test_overload();
    test_yields();
    test_jump();
    test_yields_to_a_jump();
    test_doubts();
    test_limit();
    test_policy();
    test_pads();
    test_pads_before_moving();
    test_stretch();
    test_clock();
    test_self_test();
    test_start();
    return check_result();
}
