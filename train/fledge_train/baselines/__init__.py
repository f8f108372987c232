"""Classical controllers in the policies' place, so that a table of figures means something.

`cascade` is the PID cascade of most flight controllers, `geometric` a controller on SE(3) with feed-forward. Both see
the same noisy sensors as a policy, act through the same action mapping, and know the robot file: mass, inertia, thrust
curve, rotor lag. Their gains are searched by `python -m fledge_train.baselines.tune` and kept in gains.toml.
"""
