/* rotation.h: attitudes. The only file of the flight code that indexes a quaternion. */
#ifndef FLEDGE_ROTATION_H
#define FLEDGE_ROTATION_H

/* A direction in the horizontal plane: (cos, sin) of a yaw. */
struct heading {
    float cosine;
    float sine;
};

/* |q|^2 */
static inline float rotation_squared_norm(const float quaternion_xyzw[4]) {
    const float *q = quaternion_xyzw;
    return q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3];
}

/* 1 - cos(tilt): what the body's z axis lacks of pointing up; |q| must not be 0. */
float rotation_versine(const float quaternion_xyzw[4]);

/* Row-major rotation_world_from_body of q/|q|; |q| must not be 0. */
void rotation_from_quaternion(const float quaternion_xyzw[4], float rotation_world_from_body[9]);

/* Yaw of the body's x axis in world; yaw 0 where that axis is vertical. */
struct heading rotation_heading(const float rotation_world_from_body[9]);

/* The same without the rest of the rotation; |q| must not be 0. */
struct heading rotation_heading_of(const float quaternion_xyzw[4]);

/* v_heading = R_z(-yaw) v_world; may be the same array */
static inline void heading_from_world(struct heading heading, const float vector_world[3], float vector_heading[3]) {
    const float x = vector_world[0], y = vector_world[1];
    vector_heading[0] = heading.cosine * x + heading.sine * y;
    vector_heading[1] = heading.cosine * y - heading.sine * x;
    vector_heading[2] = vector_world[2];
}

#endif
