"""One module per subject of `fledge bench`: `Options` for the command line, and `measure(options) -> Report`."""
