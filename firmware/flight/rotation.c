#include "rotation.h"

#include "square_root.h"

#define VERTICAL 1e-6f /* squared horizontal length of the x axis below which its yaw means nothing */

float rotation_squared_norm(const float quaternion_xyzw[4]) {
    const float *q = quaternion_xyzw;
    return q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3];
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

struct heading rotation_heading(const float rotation_world_from_body[9]) {
    const float x = rotation_world_from_body[0], y = rotation_world_from_body[3];
    const float squared = x * x + y * y;
    if (!(squared > VERTICAL)) return (struct heading){.cosine = 1.0f, .sine = 0.0f};
    const float scale = 1.0f / square_root(squared);
    return (struct heading){.cosine = x * scale, .sine = y * scale};
}

void heading_from_world(struct heading heading, const float vector_world[3], float vector_heading[3]) {
    const float x = vector_world[0], y = vector_world[1];
    vector_heading[0] = heading.cosine * x + heading.sine * y;
    vector_heading[1] = heading.cosine * y - heading.sine * x;
    vector_heading[2] = vector_world[2];
}
