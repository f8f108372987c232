#include "blend.h"
#include "check.h"

static void sum(const struct blend *blend, float position[3], float velocity[3]) {
    for (int i = 0; i < 3; i++) position[i] = velocity[i] = 0.0f;
    blend_add(blend, position, velocity);
}

/* Begins with the offset and its velocity, ends with neither, and the one is the derivative of the other. */
static void check_blend(const float offset[3], const float speed[3], double seconds) {
    struct blend blend;
    float position[3], velocity[3], before[3], between[3];
    blend_start(&blend, offset, speed);
    CHECK_NEAR(blend.duration_us, 1e6 * seconds, 4);
    sum(&blend, position, velocity);
    for (int i = 0; i < 3; i++) CHECK_NEAR(position[i], offset[i], 1e-6);
    for (int i = 0; i < 3; i++) CHECK_NEAR(velocity[i], speed[i], 1e-6);
    for (int ticks = 0; !blend_over(&blend); ticks++) {
        sum(&blend, before, velocity);
        blend_advance(&blend, 5000);
        sum(&blend, between, velocity);
        blend_advance(&blend, 5000);
        sum(&blend, position, (float[3]){0});
        if (blend_over(&blend)) break;
        for (int i = 0; i < 3; i++) /* h^2/6 |x'''| with x''' below 60 (o + d)/D^3 */
            CHECK_NEAR(velocity[i], ((double)position[i] - (double)before[i]) / 0.01, 4e-3);
    }
    for (int i = 0; i < 3; i++) CHECK_NEAR(before[i], 0, 1e-4);
    sum(&blend, position, velocity);
    for (int i = 0; i < 3; i++) CHECK(position[i] == 0.0f && velocity[i] == 0.0f);
    blend_advance(&blend, 0xffffffffu);
    CHECK(blend_over(&blend));
}

int main(void) {
    check_blend((float[]){0.1f, -0.2f, 0.3f}, (float[]){0, 0, 0}, 1);
    check_blend((float[]){0, 0, 0}, (float[]){1.0f, 0.5f, -0.5f}, 1);
    check_blend((float[]){3.0f, 0, 4.0f}, (float[]){0.2f, 0, 0}, 9.375); /* 5 m at 15/8 of the mean speed */
    struct blend blend;
    float position[3] = {1.0f, 2.0f, 3.0f}, velocity[3] = {0};
    blend_none(&blend);
    CHECK(blend_over(&blend));
    blend_add(&blend, position, velocity);
    CHECK(position[0] == 1.0f && velocity[0] == 0.0f);
    blend_start(&blend, (float[]){1e30f, 0, 0}, (float[]){0, 0, 0}); /* a minute at most, whatever it takes */
    CHECK_NEAR(blend.duration_us, 60e6, 4);
    return check_result();
}
