"""One module per verb: `Options`, a frozen dataclass that tyro turns into flags, and `run(options) -> exit code`."""
