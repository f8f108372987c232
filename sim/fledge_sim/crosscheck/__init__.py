"""The same robot in independent engines: MuJoCo and PyBullet, with models generated from the robot file.

`crosscheck.mujoco.engine(...)` and `crosscheck.pybullet.engine(...)` step the arrays of fledge_sim.kernel; slow, for
small n. The engines own the rigid body, its integration and the contact with the floor. What neither has (rotor lag,
thrust curve, drag, ground effect, battery) acts on them from outside and is written out in loads.py, a text of its own.
"""
