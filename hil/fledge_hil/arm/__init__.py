"""The arm: servo bus, virtual servos, the arm's firmware on the host and on the emulated chip, and its driver."""
