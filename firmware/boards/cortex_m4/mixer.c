#include "mixer.h"

#include "finite.h"
#include "robot.h" /* generated from the robot's file: every physical constant below */
#include "square_root.h"

#define THRUST_MIN (0.1f * ROBOT_THRUST_MAX) /* keeps every rotor turning */
#define YAW_SHARE 0.15f                      /* largest part of a rotor's maximal thrust that yaw may take or give */

static const float rotor_x[4] = ROBOT_ROTOR_X, rotor_y[4] = ROBOT_ROTOR_Y, rotor_spin[4] = ROBOT_ROTOR_SPIN;

/* alpha = J^-1 sum (y T, -x T, spin k T) */
void mixer_angular_acceleration(const float thrust[4], float angular_acceleration_body[3]) {
    float torque[3] = {0.0f, 0.0f, 0.0f};
    for (int i = 0; i < 4; i++) {
        torque[0] += rotor_y[i] * thrust[i];
        torque[1] -= rotor_x[i] * thrust[i];
        torque[2] += rotor_spin[i] * ROBOT_TORQUE_PER_THRUST * thrust[i];
    }
    angular_acceleration_body[0] = torque[0] / ROBOT_INERTIA_X;
    angular_acceleration_body[1] = torque[1] / ROBOT_INERTIA_Y;
    angular_acceleration_body[2] = torque[2] / ROBOT_INERTIA_Z;
}

/* Lifts all four where one would fall below its minimum, then lowers all four where one exceeds its maximum: the
 * differences, which are the torques, survive as long as they fit at all. */
static void shift_into_range(float thrust[4]) {
    float lowest = thrust[0], highest = thrust[0];
    for (int i = 1; i < 4; i++) {
        lowest = thrust[i] < lowest ? thrust[i] : lowest;
        highest = thrust[i] > highest ? thrust[i] : highest;
    }
    const float lift = lowest < THRUST_MIN ? THRUST_MIN - lowest : 0.0f;
    const float excess = highest + lift > ROBOT_THRUST_MAX ? highest + lift - ROBOT_THRUST_MAX : 0.0f;
    for (int i = 0; i < 4; i++) thrust[i] = clip(thrust[i] + lift - excess, THRUST_MIN, ROBOT_THRUST_MAX);
}

/* Four rotors in a symmetric cross: T_i = T/4 + y_i/(sum y^2) tau_x - x_i/(sum x^2) tau_y + spin_i/(4 k) tau_z. */
void mixer_thrust(float collective, const float angular_acceleration_body[3], float thrust[4]) {
    const float *alpha = angular_acceleration_body;
    const float yaw_torque = alpha[2] * ROBOT_INERTIA_Z / (4.0f * ROBOT_TORQUE_PER_THRUST);
    const float yaw = clip(yaw_torque, -YAW_SHARE * ROBOT_THRUST_MAX, YAW_SHARE * ROBOT_THRUST_MAX);
    for (int i = 0; i < 4; i++) {
        const float roll = rotor_y[i] * alpha[0] * (ROBOT_INERTIA_X / ROBOT_SUM_Y_SQUARED);
        const float pitch = -rotor_x[i] * alpha[1] * (ROBOT_INERTIA_Y / ROBOT_SUM_X_SQUARED);
        thrust[i] = 0.25f * collective + roll + pitch + rotor_spin[i] * yaw;
    }
    shift_into_range(thrust);
}

#if ROBOT_ACTUATION_KIND == 1 /* thrust fraction */

float mixer_fraction_from_thrust(float thrust) {
    return clip(thrust / ROBOT_THRUST_MAX, ROBOT_FRACTION_LOW, ROBOT_FRACTION_HIGH);
}

float mixer_thrust_from_fraction(float motor_fraction) { return motor_fraction * ROBOT_THRUST_MAX; }

#else /* rotor speed fraction: T = c0 + c1 n + c2 n^2 */

float mixer_fraction_from_thrust(float thrust) {
    const float inside = ROBOT_THRUST_C1 * ROBOT_THRUST_C1 + 4.0f * ROBOT_THRUST_C2 * (thrust - ROBOT_THRUST_C0);
    const float speed = (square_root(clip(inside, 0.0f, inside)) - ROBOT_THRUST_C1) / (2.0f * ROBOT_THRUST_C2);
    return clip(speed / ROBOT_ROTOR_SPEED_MAX, ROBOT_FRACTION_LOW, ROBOT_FRACTION_HIGH);
}

float mixer_thrust_from_fraction(float motor_fraction) {
    const float speed = motor_fraction * ROBOT_ROTOR_SPEED_MAX;
    return ROBOT_THRUST_C0 + speed * (ROBOT_THRUST_C1 + ROBOT_THRUST_C2 * speed);
}

#endif
