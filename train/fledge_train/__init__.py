"""Training: analytic policy gradients through the native quadrotor, and what measures the result."""
