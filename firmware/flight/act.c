#include "act.h"

#include "finite.h"
#include "policy.h"

_Static_assert(POLICY_OUTPUT_SIZE == 4, "one action per motor");

void act_fraction(const float action[4], float fraction[4]) {
    for (int i = 0; i < 4; i++) {
        const float share = (clip(action[i], -1.0f, 1.0f) + 1.0f) * 0.5f;
        fraction[i] = clip(POLICY_ACTION_LOW + share * (POLICY_ACTION_HIGH - POLICY_ACTION_LOW), POLICY_ACTION_LOW,
                           POLICY_ACTION_HIGH);
    }
}
