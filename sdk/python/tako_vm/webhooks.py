"""For receivers of webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from .errors import WebhookError

__all__ = ["sign_webhook", "verify_webhook"]

TOLERANCE = 300.0
MAX_HEADER = 1024
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_SUM = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


def verify_webhook(
    secret: str,
    body: Union[bytes, str],
    signature: Union[str, Mapping[str, str]],
    *,
    tolerance: float = TOLERANCE,
    now: Optional[float] = None,
) -> Dict[str, Any]:
    """Answers the record of a webhook that was signed with this secret, at most
    tolerance seconds from now in either direction; WebhookError otherwise.

    body is what was received, before anything decodes it; signature the value
    of Tako-Signature, or the request's headers. A header with several v1 is
    valid if one of them is.
    """
    if not secret:
        raise WebhookError("there is no secret to check the webhook with")
    try:
        data = body.encode("utf-8") if isinstance(body, str) else bytes(body)
    except UnicodeEncodeError as e:
        raise WebhookError("the webhook is not UTF-8") from e
    at, sums = _parse(_header(signature))
    want = _mac(secret, at, data)
    good = False
    for each in sums:
        good = hmac.compare_digest(each.lower(), want) or good
    if not good:
        raise WebhookError("the webhook was signed with another secret or for another body")
    if abs((time.time() if now is None else now) - int(at)) > tolerance:
        raise WebhookError("the signature of the webhook is too old, or of the future")
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise WebhookError("the webhook is not JSON") from e
    if not isinstance(record, dict):
        raise WebhookError("the webhook is no JSON object")
    return record


def sign_webhook(secret: str, body: Union[bytes, str], *, now: Optional[float] = None) -> str:
    """The value of Tako-Signature, to test receivers with."""
    at = str(int(time.time() if now is None else now))
    data = body.encode("utf-8") if isinstance(body, str) else bytes(body)
    return f"t={at},v1={_mac(secret, at, data)}"


def _mac(secret: str, at: str, body: bytes) -> str:
    return hmac.new(secret.encode("utf-8"), at.encode("ascii") + b"." + body, hashlib.sha256).hexdigest()


def _header(signature: Union[str, Mapping[str, str]]) -> str:
    if isinstance(signature, str):
        return signature
    for name, value in signature.items():
        if name.lower() == "tako-signature":
            return value
    raise WebhookError("the webhook is not signed")


def _parse(header: str) -> Tuple[str, List[str]]:
    """Time and sums of a header. Elements that are not known are left out."""
    if len(header) > MAX_HEADER:
        raise WebhookError("the signature of the webhook is too long")
    at, sums = "", []
    for element in header.split(","):
        name, _, value = element.strip().partition("=")
        if name == "t":
            if at or not _SECONDS.fullmatch(value):
                raise WebhookError("the signature of the webhook has no time in seconds, or two")
            at = value
        elif name == "v1":
            if not _SUM.fullmatch(value):
                raise WebhookError("the signature of the webhook is not 64 hex digits")
            sums.append(value)
    if not at or not sums:
        raise WebhookError("the signature of the webhook has no time or no sum")
    return at, sums
