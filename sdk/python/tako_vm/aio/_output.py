"""What jobs say and leave, and the files that they are given."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, AsyncIterator, Dict, List, Optional, Union

from .._plans import events as events_plans
from .._plans import files as plans
from .._wire import get, path
from ..archives import MAX_BYTES
from ..results import Event
from ._base import Base


class Output(Base):
    """Calls about events and files."""

    def events(
        self, job_id: str, *, after: Optional[str] = None, follow: bool = True, patience: float = 120.0
    ) -> AsyncIterator[Event]:
        """What a job does and says: what is stored, and then what happens, to its
        end. A stream that breaks off is resumed after the last event: none comes
        twice, none is left out. patience is how many seconds the server may be
        away. after is the id of an event to begin behind; without follow it ends
        at the last stored one."""
        return self._iterate(events_plans.events(self._wire, job_id, after, follow, patience))

    async def list_artifacts(self, job_id: str) -> Dict[str, Any]:
        """The files that a job left."""
        return await self._run(self._wire.object(get(path("/jobs/", job_id, "/artifacts"))))

    async def download_artifact(self, job_id: str, name: str) -> bytes:
        """A file that a job left. Its digest is checked."""
        return await self._run(plans.download(self._wire, job_id, name))

    async def save_artifact(
        self, job_id: str, name: str, folder: Union[str, "os.PathLike[str]"], *, to: Optional[str] = None
    ) -> Path:
        """Writes a file that a job left into folder, under its own name or that of
        to, and answers its path. Nothing is there under that name before all of
        it is. UnsafePathError for a name that would lead out of folder."""
        return await self._run(plans.save(self._wire, job_id, name, folder, to))

    async def save_artifacts(
        self, job_id: str, folder: Union[str, "os.PathLike[str]"], *, max_bytes: int = MAX_BYTES
    ) -> List[Path]:
        """Writes all files that a job left into folder and answers their paths."""
        return await self._run(plans.save_all(self._wire, job_id, folder, max_bytes))

    async def save_zip(self, job_id: str, file: Union[str, "os.PathLike[str]"]) -> Path:
        """Writes all files that a job left to file, as one ZIP archive."""
        return await self._run(plans.save_zip(self._wire, job_id, file))

    async def upload(self, source: plans.Source) -> Dict[str, Any]:
        """Stores bytes, the file at a path or an open file for a job that comes
        within a day, which names it by upload_id as InputFile.upload."""
        return await self._run(plans.upload(self._wire, source))
