"""Job types in a file: job_types.json of the data directory, which a server
reads when it starts."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Union

from .errors import ValidationError

__all__ = ["JobType", "JobTypeRegistry"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_MEMORY = re.compile(r"([0-9]{1,9})([mg])", re.ASCII | re.IGNORECASE)


@dataclass
class JobType:
    """A named environment."""

    name: str
    requirements: List[str] = field(default_factory=list)
    python_version: str = "3.11"
    base_image: Optional[str] = None
    shared_code: List[str] = field(default_factory=list)
    environment: Dict[str, str] = field(default_factory=dict)
    memory_limit: str = "512m"
    cpu_limit: float = 1.0
    timeout: int = 30
    startup_timeout: int = 120
    network_enabled: bool = False
    session_enabled: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValidationError(f"{self.name!r} is no name of a job type: 1 to 64 of A-Z, a-z, 0-9, _ and -")
        memory = _MEMORY.fullmatch(self.memory_limit)
        size = int(memory[1]) * (1024 if memory[2] in "gG" else 1) if memory else 0
        if not 64 <= size <= 32 * 1024:
            raise ValidationError(f"{self.name}: memory_limit must be 64m to 32g and is {self.memory_limit!r}")
        for what, value, least, most in (
            ("cpu_limit", self.cpu_limit, 0.1, 16),
            ("timeout", self.timeout, 1, 3600),
            ("startup_timeout", self.startup_timeout, 10, 600),
        ):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
                raise ValidationError(f"{self.name}: {what} must be {least} to {most} and is {value!r}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "JobType":
        """ValidationError for fields that there are not."""
        unknown = set(values) - {f.name for f in dataclasses.fields(cls)}
        if unknown:
            raise ValidationError(f"a job type has no {', '.join(sorted(unknown))}")
        try:
            return cls(**values)
        except TypeError as e:
            raise ValidationError(f"the job type is not complete: {e}") from e

    def to_dict(self) -> Dict[str, Any]:
        """As the file and create_job_type() have it."""
        return dataclasses.asdict(self)


class JobTypeRegistry:
    """The job types of a file, by default job_types.json of TAKO_VM_DATA_DIR or
    ~/.tako_vm. Entries that do not hold are left out."""

    def __init__(self, path: Union[str, "os.PathLike[str]", None] = None) -> None:
        if path is None:
            path = Path(os.environ.get("TAKO_VM_DATA_DIR") or Path.home() / ".tako_vm") / "job_types.json"
        self.path = Path(path)
        self._types: Dict[str, JobType] = {"default": JobType("default")}
        self.load()

    def load(self) -> None:
        """Reads the file, if it is there."""
        try:
            known = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return
        except ValueError as e:
            raise ValidationError(f"{self.path} is not JSON: {e}") from e
        entries = known.get("job_types") if isinstance(known, dict) else None
        for entry in entries if isinstance(entries, list) else []:
            try:
                self.register(JobType.from_dict(entry))
            except (ValidationError, TypeError, AttributeError):
                continue

    def save(self) -> None:
        """Writes the file, all at once."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"job_types": [t.to_dict() for t in self]}, indent=2) + "\n"
        fd, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".job_types-")
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as f:
                f.write(text)
            os.replace(temporary, self.path)
        except BaseException:
            os.unlink(temporary)
            raise

    def register(self, job_type: JobType) -> None:
        """Adds a job type, or replaces that of its name."""
        self._types[job_type.name] = job_type

    def remove(self, name: str) -> None:
        """Removes a job type. KeyError where there is none."""
        del self._types[name]

    def get(self, name: str) -> Optional[JobType]:
        """A job type, None where there is none."""
        return self._types.get(name)

    def list(self) -> List[JobType]:
        """All, by name."""
        return sorted(self._types.values(), key=lambda t: t.name)

    def __iter__(self) -> Iterator[JobType]:
        return iter(self.list())

    def __contains__(self, name: object) -> bool:
        return name in self._types

    def __len__(self) -> int:
        return len(self._types)
