"""Tokens for the local stack, signed as an OIDC issuer does and validated as API Gateway does.

`python -m local.tokens ada` prints a token for ada. The key pair is created at first use and stays on this
machine.
"""

import argparse
import base64
import contextlib
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.domain import keys

ISSUER: Final = "https://budgie.local"
AUDIENCE: Final = "budgie"
LIFETIME: Final = 86_400
"""Seconds that a token is valid: 24 hours."""

MAX_CACHED: Final = 10_000
"""Valid tokens that a verifier caches; at the limit it empties the cache."""

ALGORITHM: Final = "RS256"
KEY_FILE: Final = "token-key.pem"


class TokenRefusedError(Exception):
    """The token does not prove the caller's identity. The text says why, in API Gateway's words where known."""


class KeyPair:
    """The RSA key that signs tokens."""

    def __init__(self, private_key: rsa.RSAPrivateKey) -> None:
        self._private_key = private_key
        self.public_key: Final = private_key.public_key()
        self.key_id: Final = key_id(self.public_key)

    @classmethod
    def create(cls) -> "KeyPair":
        """Create a new key of 2,048 bits."""
        return cls(rsa.generate_private_key(public_exponent=65_537, key_size=2_048))

    @classmethod
    def load_or_create(cls, directory: Path) -> "KeyPair":
        """Read the directory's key; create it first if there is none, readable by its owner only.

        Two processes that start at once agree on one key.

        Raises:
            OSError: the directory or the file cannot be written or read.
            ValueError: the file contains no RSA key.
        """
        path = directory / KEY_FILE
        if not path.exists():
            directory.mkdir(parents=True, exist_ok=True)
            cls.create().save(path)
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError(f"{path.name} contains no RSA key. Remove it, and a new one is created.")  # noqa: TRY004  # a file
        return cls(key)

    def save(self, path: Path) -> None:
        """Write the key, readable by its owner only; an existing key stays.

        The file is renamed when it is complete, so that nobody reads a part of it.
        """
        descriptor, draft_name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        draft = Path(draft_name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(
                self._private_key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()

    def issue(
        self,
        user: str,
        *,
        issuer: str = ISSUER,
        audience: str = AUDIENCE,
        expires_in: float = LIFETIME,
        **claims: Any,  # noqa: ANN401  # a claim is whatever JSON holds
    ) -> str:
        """A token for a user.

        Args:
            user: the claim `sub`; not empty.
            issuer: the claim `iss`.
            audience: the claim `aud`.
            expires_in: seconds from now; negative for an expired token.
            **claims: further claims, or replacements of the above; None removes a claim.

        Raises:
            ValueError: the user's name is empty.
        """
        if not user:
            raise ValueError("A token needs a user's name.")
        now = int(time.time())
        standard = {"iss": issuer, "aud": audience, "sub": user, "iat": now, "exp": int(now + expires_in)}
        payload = {name: value for name, value in {**standard, **claims}.items() if value is not None}
        return jwt.encode(payload, self._private_key, algorithm=ALGORITHM, headers={"kid": self.key_id})

    def jwks(self) -> dict[str, Any]:
        """The public key as an issuer publishes it at its `jwks_uri`."""
        numbers = _public_numbers(self.public_key)
        return {"keys": [{**numbers, "kid": self.key_id, "use": "sig", "alg": ALGORITHM}]}


class Verifier:
    """Validates tokens as API Gateway's JWT authorizer does, for one issuer with one key.

    A valid token is not validated again until it expires, as the result would be the same. `audience` may name several,
    of which a token must name one; `now` returns the seconds since 1970.
    """

    def __init__(
        self,
        public_key: rsa.RSAPublicKey,
        issuer: str,
        audience: str | Sequence[str],
        now: Callable[[], float] = time.time,
        max_cached: int = MAX_CACHED,
    ) -> None:
        self._now = now
        self._max_cached = max_cached
        self._valid: dict[str, dict[str, Any]] = {}
        self._public_key = public_key
        self._key_id = key_id(public_key)
        self._issuer = issuer
        self._audiences = {audience} if isinstance(audience, str) else set(audience)

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a valid token.

        Raises:
            TokenRefusedError: it is not a token of this issuer and audience, or not valid at this time.
        """
        claims = self._valid.get(token)
        if claims is None:
            claims = self._check(token)
            if len(self._valid) >= self._max_cached:
                self._valid.clear()
            self._valid[token] = claims
        if self._now() >= int(claims["exp"]):
            raise TokenRefusedError("the token has expired")
        return dict(claims)

    def _check(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            if header.get("kid") != self._key_id:
                raise TokenRefusedError("the token is not signed by a key of the issuer")
            claims: dict[str, Any] = jwt.decode(
                token,
                self._public_key,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                # The audience is checked below, by API Gateway's own rule.
                options={"require": ["exp"], "verify_aud": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise TokenRefusedError(_reason(error)) from error
        self._check_audience(claims)
        return claims

    def _check_audience(self, claims: dict[str, Any]) -> None:
        """Checks the audience; `client_id` counts only without `aud`."""
        named = claims.get("aud", claims.get("client_id"))
        names = named if isinstance(named, list) else [named]
        if not any(isinstance(name, str) and name in self._audiences for name in names):
            raise TokenRefusedError("the token does not have a valid audience")


def key_id(public_key: rsa.RSAPublicKey) -> str:
    """A key's RFC 7638 thumbprint, which identifies it in the tokens' headers."""
    canonical = json.dumps(_public_numbers(public_key), sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _public_numbers(public_key: rsa.RSAPublicKey) -> dict[str, str]:
    numbers = public_key.public_numbers()
    return {"kty": "RSA", "n": _integer(numbers.n), "e": _integer(numbers.e)}


def _integer(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _reason(error: Exception) -> str:
    """API Gateway's `error_description`.

    The texts on segments and audience are AWS's own, the others are modelled on them.
    """
    reasons: dict[type[Exception], str] = {
        jwt.ExpiredSignatureError: "the token has expired",
        jwt.ImmatureSignatureError: "the token is not valid yet",
        jwt.InvalidIssuerError: "the token does not have a valid issuer",
        jwt.MissingRequiredClaimError: "the token lacks a required claim",
        jwt.InvalidAlgorithmError: "signing method is invalid",
        jwt.InvalidSignatureError: "signature is invalid",
    }
    known = next((text for kind, text in reasons.items() if isinstance(error, kind)), None)
    return known or "token contains an invalid number of segments"


def unusable(user: str) -> str | None:
    """Why the API would refuse this user's token; None if it would not."""
    if user == keys.ME:
        return f"USER must not be `{keys.ME}`: in paths it means the caller. Choose a name, such as ada."
    if not keys.may_call(user):
        rule = f"USER must have {keys.USER_ID_RULE}, and be more than a dot or two"
        return f"{rule}: the API would refuse this name's token."
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a token for the user named on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m local.tokens", description="Print a token for the local API."
    )
    parser.add_argument("user", metavar="USER", help="the token's user, such as ada")
    parser.add_argument(
        "--state", type=Path, default=Path(".local"), help="where the key is kept (%(default)s)"
    )
    options = parser.parse_args(arguments)
    if problem := unusable(options.user):
        parser.error(problem)
    print(KeyPair.load_or_create(options.state).issue(options.user))
    return 0


if __name__ == "__main__":
    sys.exit(main())
