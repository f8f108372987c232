#include "kinematics.h"

#include "finite.h"
#include "turn.h"

#define UNITS_PER_RADIAN 2670176.857f /* 2^24 / 2 pi; shifted by 8 afterwards */
#define ANGLE_MAX 32.0f               /* [rad] */

struct link {
    float point[3], axis[3];
    uint32_t slides;
};

static const struct link chain[ARM_CHAIN] = ARM_LINKS;
static const float tip_at_zero[3] = ARM_TIP;

static void cross(const float a[3], const float b[3], float product[3]) {
    product[0] = a[1] * b[2] - a[2] * b[1];
    product[1] = a[2] * b[0] - a[0] * b[2];
    product[2] = a[0] * b[1] - a[1] * b[0];
}

/* Rodrigues: p + sin k x (p - c) + (1 - cos) k x (k x (p - c)) */
static void turn_about(const struct link *link, float angle, float point[3]) {
    const float units = clip(angle, -ANGLE_MAX, ANGLE_MAX) * UNITS_PER_RADIAN;
    const int32_t nearest = (int32_t)(units + (units < 0.0f ? -0.5f : 0.5f));
    const struct sine_cosine of = turn_sine_cosine((uint32_t)nearest << 8);
    float arm[3], once[3], twice[3];
    for (int i = 0; i < 3; i++) arm[i] = point[i] - link->point[i];
    cross(link->axis, arm, once);
    cross(link->axis, once, twice);
    for (int i = 0; i < 3; i++) point[i] += of.sine * once[i] + (1.0f - of.cosine) * twice[i];
}

void kinematics_tip(const float position[ARM_JOINTS], float tip_base[3]) {
    for (int i = 0; i < 3; i++) tip_base[i] = tip_at_zero[i];
    for (int j = ARM_CHAIN - 1; j >= 0; j--) {
        const struct link *link = &chain[j];
        if (link->slides)
            for (int i = 0; i < 3; i++) tip_base[i] += position[j] * link->axis[i];
        else
            turn_about(link, position[j], tip_base);
    }
}
