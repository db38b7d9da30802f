"""Job types, secrets, keys and the server itself."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from .._plans import admin as plans
from .._plans.jobs import submitted
from .._wire import Call, get, path, query
from ..requests import NetworkPolicy, SecretBinding
from ._base import Base


class Admin(Base):
    """Calls about what jobs stand on."""

    async def pool_stats(self) -> Dict[str, Any]:
        """What runs and waits."""
        return await self._run(self._wire.object(get("/pool/stats")))

    async def dlq_stats(self) -> Dict[str, Any]:
        """Counts of dead letters."""
        return await self._run(self._wire.object(get("/dlq/stats")))

    async def list_dlq(self, *, error_type: Optional[str] = None, limit: int = 50, offset: int = 0) -> Dict[str, Any]:
        """A page of dead letters, newest first."""
        return await self._run(self._wire.object(get("/dlq", query(error_type=error_type, limit=limit, offset=offset))))

    async def delete_dlq(self, entry_id: int) -> Dict[str, Any]:
        """Removes a dead letter."""
        return await self._run(self._wire.object(Call("DELETE", plans.entry(entry_id))))

    async def replay_dlq(self, entry_id: int) -> str:
        """Submits the job of a dead letter again and answers the new one's id."""
        return await self._run(submitted(self._wire, Call("POST", plans.entry(entry_id) + "/replay")))

    async def health(self) -> Dict[str, Any]:
        """How the server is."""
        return await self._run(plans.health(self._wire, get("/health")))

    async def ready(self) -> Dict[str, Any]:
        """Answers where the server takes work; ServerError 503 where not. It is
        asked once."""
        return await self._run(self._wire.object(Call("GET", "/ready")))

    async def metrics(self) -> str:
        """The server's metrics, as Prometheus reads them."""
        return await self._run(plans.text(self._wire, get("/metrics")))

    async def list_job_types(self) -> List[Dict[str, Any]]:
        """All job types."""
        return await self._run(self._wire.list(get("/job-types")))

    async def get_job_type(self, name: str) -> Dict[str, Any]:
        """A job type."""
        return await self._run(self._wire.object(get(path("/job-types/", name))))

    async def build_job_type(self, name: str, *, version_tag: Optional[str] = None) -> Dict[str, Any]:
        """Builds a job type and waits for it, for as long as a build may take."""
        return await self._run(plans.build(self._wire, name, version_tag))

    async def create_job_type(
        self,
        name: str,
        *,
        network: Optional[NetworkPolicy] = None,
        secrets: Sequence[SecretBinding] = (),
        **fields: Any,
    ) -> Dict[str, Any]:
        """Makes a job type; ClientError 409 where there is one. fields are those of
        the API: requirements, memory_limit, cpu_limit, timeout, image, ..."""
        return await self._run(plans.set_job_type(self._wire, "POST", name, network, secrets, fields))

    async def replace_job_type(
        self,
        name: str,
        *,
        network: Optional[NetworkPolicy] = None,
        secrets: Sequence[SecretBinding] = (),
        **fields: Any,
    ) -> Dict[str, Any]:
        """Makes or replaces a job type."""
        return await self._run(plans.set_job_type(self._wire, "PUT", name, network, secrets, fields))

    async def delete_job_type(self, name: str) -> Dict[str, Any]:
        """Removes a job type."""
        return await self._run(self._wire.object(Call("DELETE", path("/job-types/", name))))

    async def job_type_versions(self, name: str) -> List[Dict[str, Any]]:
        """The builds of a job type, newest first."""
        return await self._run(self._wire.list(get(path("/job-types/", name, "/versions"))))

    async def build_log(self, name: str, build_id: str) -> str:
        """What a build said."""
        return await self._run(plans.text(self._wire, get(path("/job-types/", name, "/builds/", build_id, "/log"))))

    async def build_lock(self, name: str, build_id: str) -> Dict[str, Any]:
        """What exactly a build installed."""
        return await self._run(self._wire.object(get(path("/job-types/", name, "/builds/", build_id, "/lock"))))

    async def list_secrets(self) -> List[Dict[str, Any]]:
        """The stored secrets, without their values."""
        return await self._run(self._wire.list(get("/secrets")))

    async def set_secret(self, name: str, value: str) -> Dict[str, Any]:
        """Stores a secret that job types may bind, or changes it."""
        return await self._run(self._wire.object(Call("PUT", path("/secrets/", name), body={"value": value}, repeat=True)))

    async def delete_secret(self, name: str) -> Dict[str, Any]:
        """Removes a secret. Jobs that need it fail from then on."""
        return await self._run(self._wire.object(Call("DELETE", path("/secrets/", name))))

    async def list_keys(self) -> List[Dict[str, Any]]:
        """The stored API keys, without the keys."""
        return await self._run(self._wire.list(get("/keys")))

    async def create_key(self, name: str, scopes: Sequence[str], *, expires_at: Optional[str] = None) -> Dict[str, Any]:
        """Makes an API key. It is answered this once."""
        body: Dict[str, Any] = {"name": name, "scopes": list(scopes)}
        if expires_at is not None:
            body["expires_at"] = expires_at
        return await self._run(self._wire.object(Call("POST", "/keys", body=body)))

    async def delete_key(self, key_id: str) -> Dict[str, Any]:
        """Removes an API key."""
        return await self._run(self._wire.object(Call("DELETE", path("/keys/", key_id))))

    async def list_deliveries(self, *, job_id: Optional[str] = None, limit: int = 50, offset: int = 0) -> Dict[str, Any]:
        """A page of webhooks, newest first; job_id may be a batch's."""
        return await self._run(self._wire.object(get("/deliveries", query(job_id=job_id, limit=limit, offset=offset))))
