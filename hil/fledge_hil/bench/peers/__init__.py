"""Simulators to be timed, each in a process of its own (worker.py); these files import nothing of fledge but fledge's.

So that a peer may live in another Python environment than fledge, with versions of its own, a file here runs as a plain
script there. Each has `PACKAGES`, its distributions, and `CASES`: name of a case -> function that prepares a batch and
returns the call to be timed, one step of every environment of the batch. A batch or a thread count that it does not
offer raises ValueError.
"""
