"""AWS's Signature Version 4 for the only form of request that its JSON services accept: ``POST /`` with a JSON body.

The result equals botocore's byte for byte (``tests/shared/aws/test_signing.py``), but loading botocore's code takes a
tenth of a second at each cold start (``docs/adr/0011``).
"""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

ALGORITHM: Final = "AWS4-HMAC-SHA256"
SERVICES: Final = {"dynamodb": ("DynamoDB_20120810", "1.0"), "ssm": ("AmazonSSM", "1.1")}
"""Each service's prefix of operations, and its version of the JSON protocol."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of a role or a user; a role's have a session token."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)


class Signer:
    """Signs requests to one of ``SERVICES`` at one host in one region."""

    def __init__(self, credentials: Credentials, service: str, region: str, host: str) -> None:
        self._prefix, version = SERVICES[service]
        self._content_type = f"application/x-amz-json-{version}"
        self._credentials = credentials
        self._service = service
        self._region = region
        self._host = host
        self._key: tuple[str, bytes] = ("", b"")

    def headers(self, operation: str, body: bytes, seconds: float) -> dict[str, str]:
        """All headers of a request.

        Args:
            operation: AWS's name for it, such as ``GetItem``.
            body: the body as it will be sent.
            seconds: the current time since 1970; AWS accepts errors of less than 5 minutes.
        """
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))
        found = {"content-type": self._content_type, "host": self._host, "x-amz-date": stamp}
        if self._credentials.token:
            found["x-amz-security-token"] = self._credentials.token
        found["x-amz-target"] = f"{self._prefix}.{operation}"
        found["authorization"] = self._authorization(found, body, stamp)
        return found

    def _authorization(self, headers: dict[str, str], body: bytes, stamp: str) -> str:
        """The ``Authorization`` header; it signs all ``headers``, which must be sorted by name."""
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = f"POST\n/\n\n{lines}\n{names}\n{sha256(body).hexdigest()}"
        scope = f"{stamp[:8]}/{self._region}/{self._service}/aws4_request"
        text = f"{ALGORITHM}\n{stamp}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = _mac(self._key_of(stamp[:8]), text).hex()
        return (
            f"{ALGORITHM} Credential={self._credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )

    def _key_of(self, day: str) -> bytes:
        """The signing key of a day; the latest is cached."""
        known, key = self._key
        if known != day:
            key = f"AWS4{self._credentials.secret_key}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = _mac(key, part)
            self._key = (day, key)
        return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
