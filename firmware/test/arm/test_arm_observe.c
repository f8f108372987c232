#include "arm_observe.h"
#include "arm_scene.h"

int main(void) {
    static struct servos servos;
    static struct pads pads;
    static struct arm_input input;
    float observation[POLICY_INPUT_SIZE] = {0}, target[ARM_JOINTS], tip[3] = {0.1f, 0.2f, 0.3f};
    for (int j = 0; j < ARM_JOINTS; j++) {
        servos.position[j] = 0.1f * (float)j, servos.velocity[j] = 1.0f + (float)j;
        target[j] = 0.3f * (float)j;
    }
    for (int i = 0; i < POLICY_TOUCH_SIZE; i++) pads.cells[i] = (int16_t)(1000 * i - 2500);
    input.goal_base[0] = 0.5f, input.goal_base[1] = 0.1f, input.goal_base[2] = 0.3f;
    input.goal_base[3] = 0.7f, input.goal_base[4] = 0.0f, input.goal_base[5] = 0.25f;
    for (int i = 0; i < 6; i++) observation[POLICY_OFFSET_ACTION_HISTORY + i] = 7.0f;
    arm_observe(&servos, &pads, &input, target, tip, observation);
    for (int i = 0; i < 5; i++) {
        CHECK_NEAR(observation[i], 0.1 * i, 1e-6);
        CHECK_NEAR(observation[5 + i], 1.0 + i, 1e-6);
        CHECK_NEAR(observation[10 + i], 0.2 * i, 1e-6);
    }
    for (int i = 0; i < 3; i++) CHECK(observation[15 + i] == tip[i]);
    CHECK_NEAR(observation[18], 0.4, 1e-6);
    CHECK_NEAR(observation[19], -0.1, 1e-6);
    CHECK_NEAR(observation[20], 0.0, 1e-6);
    CHECK_NEAR(observation[21], 0.2, 1e-6); /* the second place from the first */
    CHECK_NEAR(observation[22], -0.1, 1e-6);
    CHECK_NEAR(observation[23], -0.05, 1e-6);
    for (int i = 0; i < 6; i++) {
        CHECK_NEAR(observation[24 + i], 0.1 * i - 0.25, 1e-6); /* 0.1 mN */
        CHECK(observation[30 + i] == 7.0f);
    }
    return check_result();
}
