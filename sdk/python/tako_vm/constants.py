"""Names and places that programs of Tako VM import."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["DEFAULT_IMAGE", "MAX_REQUIREMENTS", "UV_CACHE_VOLUME", "get_workspace_dir"]

DEFAULT_IMAGE = "code-executor:latest"  # this machine's own Python
UV_CACHE_VOLUME = "tako-uv-cache"  # tako has its own cache of packages
MAX_REQUIREMENTS = 50


def get_workspace_dir() -> Path:
    """Where temporary files are: TAKO_VM_WORKSPACE, else the system's place."""
    return Path(os.environ.get("TAKO_VM_WORKSPACE") or tempfile.gettempdir())
