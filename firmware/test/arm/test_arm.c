#include "arm.h"
#include "arm_scene.h"

static struct arm_scene scene;

/* Relaxed until told otherwise, yet it knows where its joints are. */
static void test_begins_relaxed(void) {
    arm_scene_init(&scene);
    toy_set_word(&scene.toy, 0, 56, 2048 + 300);
    arm_scene_set(&scene, 40, 1); /* somebody left the torque on */
    arm_scene_set(&scene, 43, 8); /* at 2048 */
    arm_scene_run(&scene, 200);
    CHECK(scene.output.mode == ARM_RELAXED && scene.output.guard == ARM_GUARD_COMMAND);
    CHECK(scene.output.cycles > 8 && scene.toy.memory[0][40] == 0);
    CHECK_NEAR(scene.output.tip_base[2], 0.2265, 1e-3);
    CHECK(scene.output.contract_hash == 0xfeeda123u && scene.output.self_test_passed == 1);
}

/* Goals of a servo that was just switched on are 0, half a turn away: torque comes on where the joints are. */
static void test_does_not_jump(void) {
    arm_scene_init(&scene);
    for (uint32_t j = 0; j < ARM_JOINTS; j++) toy_set_word(&scene.toy, j, 56, 2048 + 50 * j);
    scene.input.command = ARM_COMMAND_HOLD;
    arm_scene_run(&scene, 300);
    CHECK(scene.output.mode == ARM_HOLDING && scene.output.torque == BUS_ALL && scene.toy.jump == 0);
    for (uint32_t j = 0; j < ARM_JOINTS; j++) {
        CHECK(toy_word(&scene.toy, j, 56) == 2048 + 50 * j && toy_word(&scene.toy, j, 42) == 2048 + 50 * j);
        CHECK_NEAR(scene.output.target[j], scene.output.position[j], 1e-6);
    }
}

/* One that has not taken its goal gets no torque; nor does an arm that is still being moved. */
static void test_waits_for_goals(void) {
    arm_scene_init(&scene);
    scene.input.command = ARM_COMMAND_HOLD;
    arm_scene_run(&scene, 10);
    for (uint32_t j = 0; j < ARM_JOINTS; j++) scene.toy.memory[j][7] = 0, scene.toy.memory[j][21] = ARM_SERVO_P;
    scene.toy.deaf = 1u << 3;
    arm_scene_run(&scene, 300);
    CHECK(scene.output.mode == ARM_STARTING && scene.output.guard == ARM_GUARD_STARTING && scene.output.torque == 0);
    scene.toy.deaf = 0;
    for (uint32_t i = 0; i < 200; i++) {
        toy_set_word(&scene.toy, 0, 56, 2048 - 3 * i);
        arm_scene_run(&scene, 1);
    }
    CHECK(scene.output.torque == 0);
    arm_scene_run(&scene, 50);
    CHECK(scene.output.mode == ARM_HOLDING && scene.toy.jump <= 14);
}

/* 50 steps in a second; the first output moves joint 0 by 0.08 rad a step towards the goal, until 0.15 ahead of it. */
static void test_moves(void) {
    arm_scene_init(&scene);
    scene.input.command = ARM_COMMAND_HOLD;
    arm_scene_run(&scene, 300);
    scene.input.goal_base[0] += 0.05f;
    scene.input.command = ARM_COMMAND_MOVE;
    CHECK(arm_scene_until(&scene, ARM_GUARD_OK, 15));
    CHECK(scene.output.mode == ARM_MOVING && scene.output.inferences == 1);
    CHECK_NEAR(scene.output.action[0], 0.5, 1e-5);
    CHECK_NEAR(scene.output.target[0], 0.04, 1e-6);
    arm_scene_run(&scene, 20);
    CHECK(scene.output.inferences == 2);
    arm_scene_run(&scene, 980);
    CHECK(scene.output.inferences == 51 && scene.output.position[0] > 0.5f);
    CHECK(scene.output.target[5] == 0.0f && scene.output.target[3] == 0.0f);
}

/* Every take-over begins afresh: state zero, no past. */
static void test_takes_over_again(void) {
    arm_scene_moving(&scene);
    arm_scene_run(&scene, 200);
    CHECK(scene.output.action[2] > 0.1f);
    scene.input.command = ARM_COMMAND_HOLD;
    arm_scene_run(&scene, 1);
    CHECK(scene.output.mode == ARM_HOLDING); /* not when the bus comes round to it */
    arm_scene_run(&scene, 19);
    CHECK(scene.output.mode == ARM_HOLDING && scene.output.guard == ARM_GUARD_COMMAND &&
          scene.output.action[2] == 0.0f);
    scene.input.command = ARM_COMMAND_MOVE;
    CHECK(arm_scene_until(&scene, ARM_GUARD_OK, 15) && scene.output.action[2] == 0.0f);
}

static void test_relaxes(void) {
    arm_scene_moving(&scene);
    scene.input.command = ARM_COMMAND_RELAX;
    arm_scene_run(&scene, 12);
    CHECK(scene.output.mode == ARM_RELAXED && scene.output.torque == 0);
    for (uint32_t j = 0; j < ARM_JOINTS; j++) CHECK(scene.toy.memory[j][40] == 0);
    scene.input.command = 77; /* no command */
    arm_scene_run(&scene, 50);
    CHECK(scene.output.mode == ARM_RELAXED);
}

/* Held by hand elsewhere while it was relaxed, it holds on there. */
static void test_holds_on_where_it_is(void) {
    arm_scene_moving(&scene);
    scene.input.command = ARM_COMMAND_RELAX;
    arm_scene_run(&scene, 50);
    toy_set_word(&scene.toy, 2, 56, 2400);
    arm_scene_run(&scene, 50);
    scene.toy.jump = 0;
    scene.input.command = ARM_COMMAND_HOLD;
    arm_scene_run(&scene, 100);
    CHECK(scene.output.mode == ARM_HOLDING && toy_word(&scene.toy, 2, 56) == 2400 && scene.toy.jump == 0);
}

/* A bus on which one packet in ten is spoilt moves all the same. */
static void test_noisy_bus(void) {
    arm_scene_init(&scene);
    scene.toy.spoil = 139;
    scene.input.command = ARM_COMMAND_MOVE;
    arm_scene_run(&scene, 3000);
    CHECK(scene.output.mode == ARM_MOVING && scene.output.retries > 50 && scene.output.wrong_checksums > 50);
}

int main(void) {
    test_begins_relaxed();
    test_does_not_jump();
    test_waits_for_goals();
    test_moves();
    test_takes_over_again();
    test_relaxes();
    test_holds_on_where_it_is();
    test_noisy_bus();
    return check_result();
}
