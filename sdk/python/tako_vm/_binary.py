"""Finds the tako command."""

from __future__ import annotations

import os
import shutil


def find_tako() -> str:
    """The path of TAKO_BINARY, else of tako or tako-vm on PATH."""
    named = os.environ.get("TAKO_BINARY")
    if named:
        return named
    for name in ("tako", "tako-vm"):
        found = shutil.which(name)
        if found and name == "tako":
            return found
        # A tako-vm beside this interpreter may be another package's script.
        if found and os.path.basename(os.path.realpath(found)) == "tako":
            return found
    raise RuntimeError("the tako command is not on PATH; build it with make build, or name it in TAKO_BINARY")
