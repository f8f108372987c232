/* fuzz_arm.c: whatever a platform, a bus or a servo makes of it, tick after tick.
 *
 * Properties: no undefined behaviour (the sanitizers watch); the guard says why the policy is off, and only then; the
 * latch goes only by command; a target moves no faster than a servo, or to where its joint is; torque never comes on
 * far from where a joint is; and it goes when it is told to. Bytes are commands to the scene, as in fuzz_flight.c.
 *
 *     fuzz_arm SEED TICKS
 */
#include <math.h>

#include "arm_scene.h"
#include "../fuzz.h"

enum { FAR = 24 /* counts: what a joint moves between two cycles, and rounding */ };

static float any_float(struct bytes *bytes) {
    static const float edges[] = {0.0f, -0.0f, 1e-40f, 3e38f, -3e38f, INFINITY, -INFINITY, NAN, 1.0f, -0.3f};
    return edges[byte(bytes) % (sizeof edges / sizeof edges[0])];
}

/* All is well again, and what went wrong is forgotten. */
static void heal(struct arm_scene *scene) {
    struct toy_servos *toy = &scene->toy;
    toy->silent = toy->spoil = toy->deaf = 0;
    for (uint32_t j = 0; j < ARM_JOINTS; j++) toy->error[j] = 0, toy->memory[j][62] = 74, toy->memory[j][63] = 30;
    toy_pads_init(&scene->pads);
    for (int i = 0; i < 2; i++)
        scene->input.goal_base[3 * i] = 0.4f, scene->input.goal_base[3 * i + 1] = 0.0f,
                                   scene->input.goal_base[3 * i + 2] = 0.2f;
    scene->input.command = ARM_COMMAND_RELAX;
    arm_scene_run(scene, 1);
    scene->input.command = ARM_COMMAND_MOVE;
}

static void change_pads(struct toy_pads *pads, struct uart_queue *line, struct bytes *bytes) {
    const uint32_t kind = byte(bytes) % 6u;
    if (kind == 0)
        pads->silent ^= 1u;
    else if (kind == 1)
        pads->spoil = byte(bytes);
    else if (kind == 2)
        pads->repeats ^= 1u;
    else if (kind == 3)
        pads->frozen = byte(bytes);
    else if (kind == 4)
        pads->cells[byte(bytes) % TOUCH_SIZE] = (int16_t)(byte(bytes) << 8);
    else
        for (uint32_t i = byte(bytes); i-- > 0;) uart_put(line, (uint8_t)byte(bytes));
}

/* One way of changing the scene. */
static void change(struct arm_scene *scene, struct bytes *bytes) {
    struct toy_servos *toy = &scene->toy;
    const uint32_t kind = byte(bytes) % 16u, j = byte(bytes) % ARM_JOINTS;
    if (kind == 0)
        toy->silent ^= 1u << j;
    else if (kind == 1)
        toy->silent = 0, toy->spoil = 0, toy->deaf = 0;
    else if (kind == 2)
        toy->spoil = byte(bytes);
    else if (kind == 3)
        toy->error[j] = (uint8_t)byte(bytes) & 0x7f;
    else if (kind == 4)
        toy->error[j] = 0, toy->memory[j][62] = 74, toy->memory[j][63] = 30;
    else if (kind == 5)
        toy->memory[j][56 + byte(bytes) % 8u] = (uint8_t)byte(bytes);
    else if (kind == 6)
        toy->memory[j][40] = 0; /* a servo that restarts */
    else if (kind == 7)
        toy->deaf ^= 1u << j;
    else if (kind == 8)
        scene->input.time_ms += byte(bytes);
    else if (kind == 9)
        scene->input.goal_base[byte(bytes) % ARM_GOAL_SIZE] = any_float(bytes);
    else if (kind == 10)
        change_pads(&scene->pads, &scene->uart.felt, bytes);
    else if (kind == 11)
        for (uint32_t i = byte(bytes); i-- > 0;) uart_put(&scene->uart.heard, (uint8_t)byte(bytes));
    else if (kind == 12)
        toy->echo = byte(bytes) & 1u;
    else if (kind == 13)
        scene->input.command = byte(bytes) % 4u;
    else
        heal(scene);
}

static void demand(uint32_t holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "fuzz_arm: %s\n", what);
    abort();
}

#define DEMAND(property) demand(property, #property)

static void check_targets(const struct arm_scene *scene) {
    const float slew = 0.1021f;
    for (int j = 0; j < ARM_JOINTS; j++) {
        const float now = scene->output.target[j], moved = now - scene->before.target[j];
        DEMAND(isfinite(now));
        DEMAND(fabsf(moved) <= slew || now == scene->output.position[j]);
        if (scene->output.mode == ARM_HOLDING && scene->before.mode == ARM_HOLDING)
            DEMAND(moved == 0.0f || now == scene->output.position[j]);
    }
}

static void check(const struct arm_scene *scene) {
    const struct arm_output *output = &scene->output, *before = &scene->before;
    DEMAND(output->mode <= ARM_MOVING && output->guard <= ARM_GUARD_PAD_FULL && output->culprit < ARM_JOINTS);
    DEMAND((output->guard == ARM_GUARD_OK) == (output->mode == ARM_MOVING));
    DEMAND(output->guard_latched == ARM_GUARD_OK || output->guard == output->guard_latched);
    DEMAND(before->guard_latched == ARM_GUARD_OK || output->guard_latched != ARM_GUARD_OK ||
           scene->input.command != ARM_COMMAND_MOVE);
    DEMAND(output->mode != ARM_MOVING || scene->input.command == ARM_COMMAND_MOVE);
    DEMAND(output->torque == 0 || output->mode != ARM_RELAXED || before->mode != ARM_RELAXED ||
           scene->arm.servos.phase != SERVOS_SENSED);
    for (int i = 0; i < POLICY_OUTPUT_SIZE; i++) DEMAND(output->action[i] >= -1.0f && output->action[i] <= 1.0f);
    DEMAND(isfinite(output->tip_base[0]) && isfinite(output->tip_base[1]) && isfinite(output->tip_base[2]));
    DEMAND(scene->toy.jump <= FAR);
    check_targets(scene);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct arm_scene scene;
    struct bytes bytes = {.data = data, .left = size};
    arm_scene_init(&scene);
    scene.input.command = ARM_COMMAND_MOVE;
    for (int j = 0; j < ARM_JOINTS; j++) scene.toy.memory[j][7] = 0, scene.toy.memory[j][21] = ARM_SERVO_P;
    for (int i = 0; i < 100; i++) arm_scene_run(&scene, 1), check(&scene);
    while (bytes.left) {
        const uint32_t ticks = 1u + byte(&bytes) % 128u, changes = byte(&bytes) % 3u;
        for (uint32_t i = 0; i < changes; i++) change(&scene, &bytes);
        for (uint32_t i = 0; i < ticks; i++) {
            arm_scene_run(&scene, 1);
            check(&scene);
            fuzz_policy_ticks += scene.output.mode == ARM_MOVING, fuzz_ticks++;
        }
    }
    return 0;
}

#ifndef FLEDGE_LIBFUZZER
int main(int count, char **arguments) { return fuzz_main(count, arguments, 100000); }
#endif
