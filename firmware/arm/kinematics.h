/* kinematics.h: where the tip is. A product of exponentials from the generated table: joint after joint turns what is
 * behind it about its own axis, all given in base axes at q = 0 (sim/fledge_sim/arm_kinematics.py is the readable
 * text). */
#ifndef FLEDGE_KINEMATICS_H
#define FLEDGE_KINEMATICS_H

#include "arm_table.h"

/* Origin of the grip frame [m], base axes, of the joints [rad, m]; the gripper does not move it. Error below 1e-6 m. */
void kinematics_tip(const float position[ARM_JOINTS], float tip_base[3]);

#endif
