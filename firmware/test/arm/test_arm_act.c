#include "arm_act.h"
#include "../check.h"

/* The hand policy moves joints 0, 2, 1, in this order, by 0.08 rad, within 0.15 rad of the joint; a servo goes 0.102
 * rad in a step. */
static void check(const float action[3], const float position[ARM_JOINTS], const float before[ARM_JOINTS],
                  const float after[ARM_JOINTS]) {
    float target[ARM_JOINTS];
    for (int j = 0; j < ARM_JOINTS; j++) target[j] = before[j];
    arm_act(action, position, target);
    for (int j = 0; j < ARM_JOINTS; j++) CHECK_NEAR(target[j], after[j], 1e-6);
}

#define JOINTS (const float[ARM_JOINTS])
#define ACTION (const float[3])

int main(void) {
    check(ACTION{1.0f, 0.5f, -0.25f}, JOINTS{0}, JOINTS{0}, JOINTS{0.08f, -0.02f, 0.04f});
    check(ACTION{0.0f, 0.0f, 0.0f}, JOINTS{0}, JOINTS{0.1f, 0.1f, 0.1f, 0.5f}, JOINTS{0.1f, 0.1f, 0.1f, 0.5f});
    /* reach: of a joint that stays behind */
    check(ACTION{1.0f, 0.0f, 0.0f}, JOINTS{0}, JOINTS{0.1f}, JOINTS{0.15f});
    check(ACTION{-1.0f, 0.0f, 0.0f}, JOINTS{0}, JOINTS{-0.1f}, JOINTS{-0.15f});
    /* bounds: 1.8 for the first, 1.6 for the second output, joint 2; -1.7 for joint 1 */
    check(ACTION{1.0f, 1.0f, -1.0f}, JOINTS{1.79f, -1.69f, 1.59f}, JOINTS{1.79f, -1.69f, 1.59f},
          JOINTS{1.8f, -1.7f, 1.6f});
    /* slew: back into bounds or reach no faster than a servo goes */
    check(ACTION{0.0f, 0.0f, 0.0f}, JOINTS{1.9f}, JOINTS{2.0f}, JOINTS{1.898f});
    check(ACTION{1.0f, 0.0f, 0.0f}, JOINTS{1.0f}, JOINTS{0.0f}, JOINTS{0.102f});
    /* more than it may say; nothing that is a number */
    check(ACTION{7.0f, NAN, -INFINITY}, JOINTS{0}, JOINTS{0}, JOINTS{0.08f});
    return check_result();
}
