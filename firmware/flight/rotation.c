#include "rotation.h"

#include "square_root.h"

#define VERTICAL 1e-6f /* squared horizontal length of the x axis below which its yaw means nothing */

float rotation_versine(const float quaternion_xyzw[4]) {
    const float x = quaternion_xyzw[0], y = quaternion_xyzw[1];
    return 2.0f * (x * x + y * y) / rotation_squared_norm(quaternion_xyzw);
}

/* R = I + 2 w [u]x + 2 [u]x^2, with s = 2/|q|^2 in place of 2 so that no square root is needed. */
void rotation_from_quaternion(const float quaternion_xyzw[4], float rotation_world_from_body[9]) {
    const float x = quaternion_xyzw[0], y = quaternion_xyzw[1], z = quaternion_xyzw[2], w = quaternion_xyzw[3];
    const float s = 2.0f / rotation_squared_norm(quaternion_xyzw);
    float *r = rotation_world_from_body;
    r[0] = 1.0f - s * (y * y + z * z), r[1] = s * (x * y - w * z), r[2] = s * (x * z + w * y);
    r[3] = s * (x * y + w * z), r[4] = 1.0f - s * (x * x + z * z), r[5] = s * (y * z - w * x);
    r[6] = s * (x * z - w * y), r[7] = s * (y * z + w * x), r[8] = 1.0f - s * (x * x + y * y);
}

static struct heading heading_along(float x, float y) {
    const float squared = x * x + y * y;
    if (!(squared > VERTICAL)) return (struct heading){.cosine = 1.0f, .sine = 0.0f};
    const float scale = 1.0f / square_root(squared);
    return (struct heading){.cosine = x * scale, .sine = y * scale};
}

struct heading rotation_heading(const float rotation_world_from_body[9]) {
    return heading_along(rotation_world_from_body[0], rotation_world_from_body[3]);
}

struct heading rotation_heading_of(const float quaternion_xyzw[4]) {
    const float x = quaternion_xyzw[0], y = quaternion_xyzw[1], z = quaternion_xyzw[2], w = quaternion_xyzw[3];
    const float s = 2.0f / rotation_squared_norm(quaternion_xyzw);
    return heading_along(1.0f - s * (y * y + z * z), s * (x * y + w * z));
}
