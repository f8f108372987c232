"""Versions of everything that has a part in a flight."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform

PACKAGES = ("fledge", "numpy", "onnxruntime", "cflib", "unicorn", "ziglang")


def versions() -> dict[str, str]:
    """Package -> version; those that are not installed are left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
