"""Container images for library mode: those that tako has for this user."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Dict, List

from ._binary import find_tako
from .config import get_config

__all__ = ["take_over"]


def take_over(image: str, data_dir: Path, pull: bool) -> None:
    """Makes an image that "tako env" has pulled, loaded or built one of a server's
    data directory; with pull one that is not here is pulled before. RuntimeError,
    which says what to do, where there is none."""
    # What is known and damaged is not pulled: it may have been built here.
    unknown = _env(["show", "--", image], dict(os.environ))
    if unknown and not pull:
        raise RuntimeError(unknown)
    if unknown:
        # Into the user's own directory: other processes need it, too, and tako env
        # lists and removes it.
        _done(_env(["pull", "--quiet", "--", image], dict(os.environ)))
    theirs = str(get_config().data_dir)
    _done(_env(["copy", "--from", theirs, "--", image], {**os.environ, "TAKO_VM_DATA_DIR": str(data_dir)}))


def _env(arguments: List[str], environment: Dict[str, str]) -> str:
    """Runs a command of "tako env" and answers what was wrong; nothing where it is
    done."""
    command = [find_tako(), "env", *arguments]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    return done.stderr.strip().removeprefix("tako: ") or f"tako env {arguments[0]} ended with {done.returncode}"


def _done(wrong: str) -> None:
    if wrong:
        raise RuntimeError(wrong)
