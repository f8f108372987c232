#include "act.h"

#include "finite.h"
#include "policy.h"

_Static_assert(POLICY_OUTPUT_SIZE == 4, "one action per motor");

float act_ceiling(uint32_t spinning_ms) {
    if (spinning_ms >= ACT_SPIN_UP_MS) return 1.0f;
    return (float)spinning_ms * (2.0f / (float)ACT_SPIN_UP_MS) - 1.0f;
}

void act_fraction(const float action[4], float fraction[4]) {
    const float half = 0.5f * (POLICY_ACTION_HIGH - POLICY_ACTION_LOW);
    for (int i = 0; i < 4; i++)
        fraction[i] = clip(POLICY_ACTION_LOW + half + half * action[i], POLICY_ACTION_LOW, POLICY_ACTION_HIGH);
}
