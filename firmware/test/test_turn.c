#include "check.h"
#include "turn.h"

int main(void) {
    double worst = 0;
    for (uint32_t i = 0; i < 100000u; i++) {
        const uint32_t turn = i * 42949u + 7u * i * i; /* covers the circle unevenly */
        const double angle = turn / 4294967296.0 * 6.283185307179586;
        const struct sine_cosine answer = turn_sine_cosine(turn);
        worst = fmax(worst, fabs((double)answer.sine - sin(angle)));
        worst = fmax(worst, fabs((double)answer.cosine - cos(angle)));
    }
    CHECK_NEAR(worst, 0, 2e-7);
    CHECK_NEAR(turn_sine_cosine(0).sine, 0, 0);
    CHECK_NEAR(turn_sine_cosine(0x40000000u).sine, 1, 0);
    CHECK_NEAR(turn_sine_cosine(TURN_HALF).cosine, -1, 0);

    CHECK(turn_from_deg(180.0f) == TURN_HALF);
    CHECK(turn_from_deg(-90.0f) == 0xc0000000u);
    CHECK(turn_from_deg(450.0f) == 0x40000000u);
    CHECK(turn_from_deg(1e30f) == turn_from_deg(36000.0f));
    CHECK(turn_from_deg(__builtin_nanf("")) == turn_from_deg(-36000.0f));
    return check_result();
}
