#include "act.h"
#include "check.h"

/* low 1/8, high 7/8: fraction = 1/8 + (a + 1)/2 * 3/4 */
int main(void) {
    float fraction[4];
    act_fraction((float[]){-1.0f, 0.0f, 1.0f, 0.25f}, fraction);
    CHECK_NEAR(fraction[0], 0.125, 0);
    CHECK_NEAR(fraction[1], 0.5, 0);
    CHECK_NEAR(fraction[2], 0.875, 0);
    CHECK_NEAR(fraction[3], 0.59375, 0);
    act_fraction((float[]){-INFINITY, INFINITY, NAN, 1e30f}, fraction);
    CHECK_NEAR(fraction[0], 0.125, 0);
    CHECK_NEAR(fraction[1], 0.875, 0);
    CHECK_NEAR(fraction[2], 0.125, 0);
    CHECK_NEAR(fraction[3], 0.875, 0);
    /* from the lowest to the highest action in 0.3 s */
    CHECK_NEAR(act_ceiling(0), -1, 0);
    CHECK_NEAR(act_ceiling(ACT_SPIN_UP_MS / 2), 0, 1e-6);
    CHECK_NEAR(act_ceiling(ACT_SPIN_UP_MS - 1), 1.0 - 2.0 / ACT_SPIN_UP_MS, 1e-6);
    CHECK_NEAR(act_ceiling(ACT_SPIN_UP_MS), 1, 0);
    CHECK_NEAR(act_ceiling(0xffffffffu), 1, 0);
    float action[4];
    act_of_fraction((float[]){0.125f, 0.5f, 0.875f, 0.59375f}, action); /* the inverse of the above */
    for (int i = 0; i < 3; i++) CHECK_NEAR(action[i], i - 1, 1e-6);
    CHECK_NEAR(action[3], 0.25, 1e-6);
    act_of_fraction((float[]){0.0f, INFINITY, NAN, -1e30f}, action);
    CHECK_NEAR(action[0], -1, 0);
    CHECK_NEAR(action[1], 1, 0);
    CHECK_NEAR(action[2], -1, 0);
    CHECK_NEAR(action[3], -1, 0);
    CHECK_NEAR(act_handover_share(0), 1, 0);
    CHECK_NEAR(act_handover_share(ACT_HANDOVER_MS / 2), 0.5, 1e-6);
    CHECK_NEAR(act_handover_share(ACT_HANDOVER_MS), 0, 0);
    CHECK_NEAR(act_handover_share(0xffffffffu), 0, 0);
    return check_result();
}
