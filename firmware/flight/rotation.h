/* rotation.h: attitudes. The only file of the flight code that indexes a quaternion. */
#ifndef FLEDGE_ROTATION_H
#define FLEDGE_ROTATION_H

/* A direction in the horizontal plane: (cos, sin) of a yaw. */
struct heading {
    float cosine;
    float sine;
};

/* |q|^2 */
float rotation_squared_norm(const float quaternion_xyzw[4]);

/* Row-major rotation_world_from_body of q/|q|; |q| must not be 0. */
void rotation_from_quaternion(const float quaternion_xyzw[4], float rotation_world_from_body[9]);

/* Yaw of the body's x axis in world; yaw 0 where that axis is vertical. */
struct heading rotation_heading(const float rotation_world_from_body[9]);

/* v_heading = R_z(-yaw) v_world */
void heading_from_world(struct heading heading, const float vector_world[3], float vector_heading[3]);

#endif
