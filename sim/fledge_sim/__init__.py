"""fledge_sim: robots, the policy contract, the quadrotor simulator (readable reference and native kernel)."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("fledge")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"
