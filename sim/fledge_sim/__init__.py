"""fledge_sim: robots, the policy contract, the quadrotor simulator (readable reference and native kernel)."""

import sysconfig
from pathlib import Path


def _version() -> str:
    """Of the installed package, from the name of the folder that its installer left; unpacking metadata takes 30 ms."""
    for site in (Path(__file__).parents[1], Path(sysconfig.get_path("platlib"))):
        for record in site.glob("fledge-*.dist-info"):
            return record.name.removeprefix("fledge-").removesuffix(".dist-info")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("fledge")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"


__version__ = _version()
