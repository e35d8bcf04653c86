"""Encrypts the values in Redis, so that nobody else can read or forge them; a value that was not encrypted is a miss.

A text ``B2z…`` of ``codec`` becomes ``E2z``, then base64 of a random nonce of 96 bits, the bytes encrypted with
AES-256-GCM, and the tag. Both forms, the codec and the Redis key are authenticated too, so a value is valid only under
its own key and in its own form. The ``2`` of ``E2`` is the version of this form and of the key's derivation. See
``docs/adr/0010``.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from shared.aws.parameters import SecretUnavailableError
from shared.cache.blocks import UnreadableError
from shared.cache.codec import FORM
from shared.cache.refusals import AUTH_OPEN_MS
from shared.cache.upstash import RedisError, Upstash
from shared.observability.telemetry import logger
from shared.settings import MIN_SECRET

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ENCRYPTED: Final = "E2"
PURPOSE: Final = b"budgie cache E2"
"""Separates this key from keys for other purposes, or later forms, derived from the same secret."""
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
"""Random nonces of this length allow 2**32 values for one key; a day has a few hundred."""
_START: Final = len(ENCRYPTED) + 1


class EncryptedUpstash:
    """``shared.cache.redis.Commands`` for a database whose values are encrypted.

    Without the secret, or without the library, it sends no command: it never stores or accepts plain text.

    Args:
        upstash: the database.
        read_secret: reads the secret, at the first command; may raise ``SecretUnavailableError``.
        now: milliseconds since 1970.
    """

    def __init__(self, upstash: Upstash, read_secret: Callable[[], str], now: Callable[[], int]) -> None:
        self._upstash = upstash
        self._read_secret = read_secret
        self._now = now
        self._lock = threading.Lock()
        self._cipher: AESGCM | None = None
        self.breaker = upstash.breaker

    @property
    def budget_seconds(self) -> float:
        """The database's ``budget_seconds``."""
        return self._upstash.budget_seconds

    def execute(self, reason: str, command: str, *arguments: str | int) -> Any:  # noqa: ANN401 - any result of Redis
        """``GET`` or ``SET`` of a bundle's text.

        Raises:
            RedisError: it failed, or the secret is unavailable; then no command is sent for 10 minutes.
            UnreadableError: the stored value was not encrypted for this key with this secret.
            ValueError: another command; it would not be encrypted.
        """
        if command not in {"GET", "SET"}:
            raise ValueError(command)
        cipher = self._get_cipher()
        key = str(arguments[0])
        if command == "SET":
            text = encrypt(cipher, key, str(arguments[1]))
            return self._upstash.execute(reason, command, key, text, *arguments[2:])
        found = self._upstash.execute(reason, command, key)
        return None if found is None else decrypt(cipher, key, found)

    def _get_cipher(self) -> AESGCM:
        with self._lock:
            if self._cipher is None:
                try:
                    self._cipher = cipher_of(self._read_secret())
                except (SecretUnavailableError, ImportError) as error:
                    kind = "no_cipher" if isinstance(error, ImportError) else "no_key"
                    self._upstash.give_up(kind, self._now() + AUTH_OPEN_MS)
                    logger().error("cache", redis=kind)
                    raise RedisError(kind) from None
            return self._cipher


def cipher_of(secret: str) -> AESGCM:
    """The cipher of a secret; its key is derived with HKDF-SHA256.

    Raises:
        SecretUnavailableError: the secret is shorter than ``MIN_SECRET``.
        ImportError: the artifact was built without the library (``ARTIFACT_SEALED``).
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - 15 ms, only if it is needed
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 - as above

    if len(secret) < MIN_SECRET:
        raise SecretUnavailableError
    return AESGCM(
        HKDF(SHA256(), KEY_BYTES, salt=None, info=PURPOSE).derive(secret.encode("utf-8", "surrogatepass"))
    )


def encrypt(cipher: AESGCM, key: str, text: str) -> str:
    """Encrypts a bundle's text for one Redis key."""
    codec = text[len(FORM) : _START]
    nonce = os.urandom(NONCE_BYTES)
    encrypted = nonce + cipher.encrypt(
        nonce, base64.b64decode(text[_START:]), _authenticated_data(codec, key)
    )
    return f"{ENCRYPTED}{codec}{base64.b64encode(encrypted).decode()}"


def decrypt(cipher: AESGCM, key: str, text: object) -> str:
    """Decrypts a bundle's text that was encrypted for this Redis key.

    Raises:
        UnreadableError: it was not encrypted for this key with this secret, or is damaged.
    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - loaded with the cipher

    if not isinstance(text, str) or not text.startswith(ENCRYPTED):
        raise UnreadableError
    codec = text[len(ENCRYPTED) : _START]
    try:
        encrypted = base64.b64decode(text[_START:], validate=True)
        opened = cipher.decrypt(
            encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:], _authenticated_data(codec, key)
        )
    except (ValueError, InvalidTag) as error:
        raise UnreadableError from error
    return f"{FORM}{codec}{base64.b64encode(opened).decode()}"


def _authenticated_data(codec: str, key: str) -> bytes:
    """The additional authenticated data; unambiguous, as the codec is always one character."""
    return f"{ENCRYPTED}{FORM}{codec}{key}".encode("utf-8", "surrogatepass")
