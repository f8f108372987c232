"""One exception for everything a user can put right; the command line prints its sentence and exits with 2."""


class FledgeError(ValueError):
    """Bad input or environment; the message is one sentence that says what is wrong and what to do."""
