"""Values in Redis that nobody else can read or write: what is stored is encrypted, and what was not is a miss.

A text ``B2z…`` of ``codec`` becomes ``E2z``, then base64 of a random nonce of 96 bits, its bytes under AES-256-GCM, and
the tag. Authenticated with them are both forms, codec and the Redis key: a value counts under its own key alone, and is
never taken for another form of a bundle. The ``2`` of ``E2`` is the version of this form and of how the key is derived.
See ``docs/adr/0010``.
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
"""Keys of other purposes, or of later forms, that come from the same secret are others."""
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
"""At random: one key may seal 2**32 values before two nonces are likely to meet. A day has a few hundred."""
_START: Final = len(ENCRYPTED) + 1


class SealedUpstash:
    """Commands against a database whose values are sealed; see ``shared.cache.redis.Commands``.

    Without its secret, or without the library, no command is sent: nothing is ever stored or taken in the clear.

    Args:
        upstash: the database.
        read_secret: finds the secret out, at the first command; may raise ``SecretUnavailableError``.
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
        """The database's."""
        return self._upstash.budget_seconds

    def execute(self, reason: str, command: str, *arguments: str | int) -> Any:  # noqa: ANN401 - whatever Redis answers
        """``GET`` or ``SET`` of a bundle's text; no other command knows of seals.

        Raises:
            RedisError: it failed, or there is no key: then Redis is left alone for 10 minutes.
            UnreadableError: what lies there was not sealed for this key, with this secret.
        """
        if command not in {"GET", "SET"}:
            raise ValueError(command)
        cipher = self._ready()
        key = str(arguments[0])
        if command == "SET":
            text = encrypt(cipher, key, str(arguments[1]))
            return self._upstash.execute(reason, command, key, text, *arguments[2:])
        found = self._upstash.execute(reason, command, key)
        return None if found is None else decrypt(cipher, key, found)

    def _ready(self) -> AESGCM:
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
    """The cipher that a secret stands for: its key is HKDF-SHA256 of it.

    Raises:
        SecretUnavailableError: it is too short to be one.
        ImportError: the artifact was built without the library (``ARTIFACT_SEALED``).
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - 15 ms that only its users pay
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 - as above

    if len(secret) < MIN_SECRET:
        raise SecretUnavailableError
    return AESGCM(
        HKDF(SHA256(), KEY_BYTES, salt=None, info=PURPOSE).derive(secret.encode("utf-8", "surrogatepass"))
    )


def encrypt(cipher: AESGCM, key: str, text: str) -> str:
    """A bundle's text, for one Redis key."""
    codec = text[len(FORM) : _START]
    nonce = os.urandom(NONCE_BYTES)
    encrypted = nonce + cipher.encrypt(nonce, base64.b64decode(text[_START:]), _bound(codec, key))
    return f"{ENCRYPTED}{codec}{base64.b64encode(encrypted).decode()}"


def decrypt(cipher: AESGCM, key: str, text: object) -> str:
    """The bundle's text that was sealed for this Redis key.

    Raises:
        UnreadableError: it was not, or it is no longer whole.
    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - loaded with the cipher

    if not isinstance(text, str) or not text.startswith(ENCRYPTED):
        raise UnreadableError
    codec = text[len(ENCRYPTED) : _START]
    try:
        encrypted = base64.b64decode(text[_START:], validate=True)
        opened = cipher.decrypt(encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:], _bound(codec, key))
    except (ValueError, InvalidTag) as error:
        raise UnreadableError from error
    return f"{FORM}{codec}{base64.b64encode(opened).decode()}"


def _bound(codec: str, key: str) -> bytes:
    """What a value is authenticated with. The codec is one character, so that no two pairs give the same."""
    return f"{ENCRYPTED}{FORM}{codec}{key}".encode("utf-8", "surrogatepass")
