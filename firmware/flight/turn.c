#include "turn.h"

#include "finite.h"

#define RADIANS_PER_UNIT 1.4629180792671596e-9f /* 2 pi / 2^32 */
#define EIGHTH 0x20000000u
#define DEGREES_MAX 36000.0f
#define UNITS_PER_DEGREE 46603.37777777778f /* 2^24 / 360; shifted by 8 afterwards */

/* Taylor series on |x| <= pi/4: the first omitted term is below 2e-9 for both. */
static struct sine_cosine series(float x) {
    const float q = x * x;
    const float sine = 1.0f + q * (-1.0f / 6.0f + q * (1.0f / 120.0f + q * (-1.0f / 5040.0f + q * (1.0f / 362880.0f))));
    const float cosine =
        1.0f +
        q * (-0.5f + q * (1.0f / 24.0f + q * (-1.0f / 720.0f + q * (1.0f / 40320.0f - q * (1.0f / 3628800.0f)))));
    return (struct sine_cosine){.sine = x * sine, .cosine = cosine};
}

/* angle = quarter * pi/2 + x, |x| <= pi/4 */
struct sine_cosine turn_sine_cosine(uint32_t turn) {
    const uint32_t shifted = turn + EIGHTH;
    const int32_t remainder = (int32_t)(shifted & 0x3fffffffu) - (int32_t)EIGHTH;
    const struct sine_cosine near = series((float)remainder * RADIANS_PER_UNIT);
    switch (shifted >> 30) {
    case 0:
        return near;
    case 1:
        return (struct sine_cosine){.sine = near.cosine, .cosine = -near.sine};
    case 2:
        return (struct sine_cosine){.sine = -near.sine, .cosine = -near.cosine};
    default:
        return (struct sine_cosine){.sine = -near.cosine, .cosine = near.sine};
    }
}

uint32_t turn_from_deg(float degrees) {
    const int32_t units = (int32_t)(clip(degrees, -DEGREES_MAX, DEGREES_MAX) * UNITS_PER_DEGREE);
    return (uint32_t)units << 8;
}
