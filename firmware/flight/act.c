#include "act.h"

#include "finite.h"
#include "policy.h"

_Static_assert(POLICY_OUTPUT_SIZE == 4, "one action per motor");

float act_ceiling(uint32_t spinning_ms) {
    if (spinning_ms >= ACT_SPIN_UP_MS) return 1.0f;
    return (float)spinning_ms * (2.0f / (float)ACT_SPIN_UP_MS) - 1.0f;
}

float act_handover_share(uint32_t since_takeover_ms) {
    if (since_takeover_ms >= ACT_HANDOVER_MS) return 0.0f;
    return 1.0f - (float)since_takeover_ms * (1.0f / (float)ACT_HANDOVER_MS);
}

void act_of_fraction(const float fraction[4], float action[4]) {
    const float scale = 2.0f / (POLICY_ACTION_HIGH - POLICY_ACTION_LOW);
    for (int i = 0; i < 4; i++) action[i] = clip((fraction[i] - POLICY_ACTION_LOW) * scale - 1.0f, -1.0f, 1.0f);
}

void act_fraction(const float action[4], float fraction[4]) {
    const float half = 0.5f * (POLICY_ACTION_HIGH - POLICY_ACTION_LOW);
    for (int i = 0; i < 4; i++)
        fraction[i] = clip(POLICY_ACTION_LOW + half + half * action[i], POLICY_ACTION_LOW, POLICY_ACTION_HIGH);
}
