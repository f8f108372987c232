/* arm_scene.h: an arm with toy servos and toy pads; ticks of all together. */
#ifndef FLEDGE_ARM_SCENE_H
#define FLEDGE_ARM_SCENE_H

#include "../check.h"
#include "arm_state.h"
#include "toy_pads.h"
#include "toy_servos.h"

struct arm_scene {
    struct arm arm;
    struct uart uart;
    struct toy_servos toy;
    struct toy_pads pads;
    struct arm_input input;
    struct arm_output output, before; /* of the last tick, and of the one before it */
};

static inline struct arm_calibration arm_scene_calibration(void) {
    struct arm_calibration calibration;
    for (int j = 0; j < 8; j++) calibration.zero_counts[j] = 2048.0f, calibration.direction[j] = 1.0f;
    return calibration;
}

/* Just powered; the goal is the tip at zero. */
static inline void arm_scene_init(struct arm_scene *scene) {
    const struct arm_calibration calibration = arm_scene_calibration();
    scene->input = (struct arm_input){.time_ms = 1000, .goal_base = {0.3914f, 0.0f, 0.2265f, 0.4f, 0.1f, 0.2f}};
    scene->output = (struct arm_output){.mode = 0};
    uart_init(&scene->uart);
    toy_init(&scene->toy);
    toy_pads_init(&scene->pads);
    hand_policy_self_test_result = 0;
    arm_init(&scene->arm, &calibration);
}

static inline void arm_scene_run(struct arm_scene *scene, uint32_t milliseconds) {
    for (uint32_t i = 0; i < milliseconds; i++) {
        scene->input.time_ms++;
        scene->before = scene->output;
        arm_tick(&scene->arm, &scene->input, &scene->uart, &scene->output);
        toy_tick(&scene->toy, &scene->uart);
        toy_pads_tick(&scene->pads, &scene->uart.felt);
    }
}

/* Runs until the guard speaks; the milliseconds that took, or 0. */
static inline uint32_t arm_scene_until(struct arm_scene *scene, enum arm_guard guard, uint32_t most_ms) {
    for (uint32_t i = 1; i <= most_ms; i++) {
        arm_scene_run(scene, 1);
        if (scene->output.guard == guard) return i;
    }
    return 0;
}

/* The policy has moved the arm for a while. */
static inline void arm_scene_moving(struct arm_scene *scene) {
    arm_scene_init(scene);
    scene->input.command = ARM_COMMAND_MOVE;
    arm_scene_run(scene, 400);
    CHECK(scene->output.mode == ARM_MOVING && scene->output.guard == ARM_GUARD_OK);
}

/* A register of every servo. */
static inline void arm_scene_set(struct arm_scene *scene, uint32_t address, uint8_t value) {
    for (uint32_t j = 0; j < ARM_JOINTS; j++) scene->toy.memory[j][address] = value;
}

#endif
