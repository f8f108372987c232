#include "kinematics.h"
#include "../check.h"

#define HALF_PI 1.57079633f

static void check(const float q[ARM_JOINTS], double x, double y, double z) {
    float tip[3];
    kinematics_tip(q, tip);
    CHECK_NEAR(tip[0], x, 1e-6);
    CHECK_NEAR(tip[1], y, 1e-6);
    CHECK_NEAR(tip[2], z, 1e-6);
}

/* The SO-101's tip is at (0.3914, 0, 0.2265); the pan axis at x = 0.0388 points down, lift at (0.0692, 0.1166) along y.
 */
int main(void) {
    check((const float[ARM_JOINTS]){0}, 0.3914, 0.0, 0.2265);
    check((const float[ARM_JOINTS]){HALF_PI}, 0.0388, -0.3526, 0.2265);
    check((const float[ARM_JOINTS]){-2.0f * HALF_PI}, 2 * 0.0388 - 0.3914, 0.0, 0.2265);
    /* about y: (x, z) -> (z, -x); 0.3222 ahead and 0.1099 above become 0.1099 ahead and 0.3222 below */
    check((const float[ARM_JOINTS]){0.0f, HALF_PI}, 0.0692 + 0.1099, 0.0, 0.1166 - 0.3222);
    /* lift forward by 90, elbow back by 90: the elbow is 0.028 ahead of the lift and 0.1126 above it */
    check((const float[ARM_JOINTS]){0.0f, HALF_PI, -HALF_PI}, 0.0692 + 0.1126 + 0.2942, 0.0, 0.1166 - 0.028 - 0.0027);
    /* the gripper moves nothing */
    check((const float[ARM_JOINTS]){0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 1.0f}, 0.3914, 0.0, 0.2265);
    return check_result();
}
