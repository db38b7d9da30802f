"""Many jobs at once."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, Mapping, Optional, Union

from .._plans import batches as plans
from .._wire import Call, get, path, query
from ..requests import JobRequest
from .base import Base


class Batches(Base):
    """Calls about batches."""

    def submit_batch(
        self,
        items: Iterable[Union[JobRequest, Mapping[str, Any]]],
        *,
        labels: Optional[Mapping[str, str]] = None,
        webhook_url: Optional[str] = None,
        idempotency_key: Optional[str] = None,
    ) -> str:
        """Submits up to 1,000 jobs, all or none, and answers the batch's id. With
        a key the call is repeated where it fails."""
        return self._run(plans.submit(self._wire, items, labels, webhook_url, idempotency_key))

    def get_batch(self, batch_id: str) -> Dict[str, Any]:
        """Where a batch stands."""
        return self._run(self._wire.object(get(path("/batches/", batch_id))))

    def wait_batch(self, batch_id: str, *, timeout: Optional[float] = None) -> Dict[str, Any]:
        """Waits for a batch's end; WaitTimeoutError where it does not come in time."""
        return self._run(plans.wait(self._wire, batch_id, timeout))

    def batch_results(
        self, batch_id: str, *, limit: int = 100, offset: int = 0, view: Optional[str] = None
    ) -> Dict[str, Any]:
        """A page of a batch's records, in the order of its items."""
        return self._run(self._wire.object(get(path("/batches/", batch_id, "/results"), query(limit=limit, offset=offset, view=view))))

    def iter_batch_results(self, batch_id: str, *, view: Optional[str] = None) -> Iterator[Dict[str, Any]]:
        """All of them, page by page."""
        return self._iterate(plans.results(self._wire, batch_id, view))

    def cancel_batch(self, batch_id: str) -> Dict[str, Any]:
        """Ends what is left of a batch."""
        return self._run(self._wire.object(Call("POST", path("/batches/", batch_id, "/cancel"))))
