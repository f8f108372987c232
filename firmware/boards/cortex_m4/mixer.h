/* mixer.h: thrusts of the four rotors <-> collective thrust, angular acceleration, motor fraction. */
#ifndef FLEDGE_MIXER_H
#define FLEDGE_MIXER_H

/* Angular acceleration [rad/s^2], body, that four rotor thrusts [N] cause. */
void mixer_angular_acceleration(const float thrust[4], float angular_acceleration_body[3]);

/* Rotor thrusts [N] for a collective thrust [N] and an angular acceleration [rad/s^2]; all four are shifted
 * together where one would leave its range, so that attitude keeps priority over height. */
void mixer_thrust(float collective, const float angular_acceleration_body[3], float thrust[4]);

/* Rotor thrust [N] <-> motor fraction in the robot's kind of actuation. */
float mixer_fraction_from_thrust(float thrust);
float mixer_thrust_from_fraction(float motor_fraction);

#endif
