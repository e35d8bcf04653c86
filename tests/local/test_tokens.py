"""Tokens: issuing, accepting, refusing."""

from __future__ import annotations

import base64
import json
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from local.tokens import AUDIENCE, ISSUER, KEY_FILE, KeyPair, TokenRefusedError, Verifier, main
from shared.domain import keys
from tests.lengths import examples

if TYPE_CHECKING:
    from tests.api import Api

KEYS = KeyPair.create()
OTHER_KEYS = KeyPair.create()
VERIFIER = Verifier(KEYS.public_key, ISSUER, AUDIENCE)


def segment(content: dict[str, Any]) -> str:
    """A part of a token, as JSON in base64url."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def test_issued_token_is_accepted() -> None:
    """A token has user, issuer, audience, times of 24 hours, further claims, and its key's id."""
    token = KEYS.issue("ada", scope="chat")
    claims = VERIFIER.claims(token)
    assert (claims["sub"], claims["iss"], claims["aud"], claims["scope"]) == ("ada", ISSUER, AUDIENCE, "chat")
    assert claims["exp"] - claims["iat"] == 86_400
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "typ": "JWT", "kid": KEYS.key_id}


@settings(max_examples=examples(10))
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50))
def test_any_name_makes_a_user(name: str) -> None:
    """Every text but the empty one is returned unchanged."""
    assert VERIFIER.claims(KEYS.issue(name))["sub"] == name


def test_nobody_gets_no_token() -> None:
    """An empty user name is refused."""
    with pytest.raises(ValueError, match="user"):
        KEYS.issue("")


@pytest.mark.parametrize(
    ("claims", "accepted"),
    [
        ({"aud": ["x", AUDIENCE]}, True),
        ({"aud": None, "client_id": AUDIENCE}, True),
        ({"aud": "x", "client_id": AUDIENCE}, False),
        ({"aud": ["x"]}, False),
        ({"aud": []}, False),
        ({"aud": None}, False),
        ({"aud": None, "client_id": "x"}, False),
    ],
)
def test_audience_is_checked_as_api_gateway_does(claims: dict[str, Any], accepted: bool) -> None:  # noqa: FBT001  # a case
    """`aud` decides, as text or list; `client_id` only without `aud`."""
    token = KEYS.issue("ada", **claims)
    if accepted:
        assert VERIFIER.claims(token)["sub"] == "ada"
    else:
        with pytest.raises(TokenRefusedError, match="valid audience"):
            VERIFIER.claims(token)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"issuer": "https://other"}, "issuer"),
        ({"iss": None}, "claim"),
        ({"exp": None}, "claim"),
        ({"expires_in": -1}, "expired"),
        ({"nbf": int(time.time()) + 86_400}, "not valid yet"),
        ({"iat": int(time.time()) + 86_400}, "not valid yet"),
    ],
)
def test_wrong_issuer_or_time_is_refused(claims: dict[str, Any], reason: str) -> None:
    """Another issuer, a missing expiry, and times in the past or future are refused with their reason."""
    with pytest.raises(TokenRefusedError, match=reason):
        VERIFIER.claims(KEYS.issue("ada", **claims))


def test_a_token_that_was_valid_is_refused_when_it_has_expired() -> None:
    """A cached token still expires, and callers cannot change its cached claims."""
    clock = [time.time()]
    verifier = Verifier(KEYS.public_key, ISSUER, AUDIENCE, lambda: clock[0])
    token = KEYS.issue("ada", expires_in=60)
    verifier.claims(token).clear()
    assert verifier.claims(token)["sub"] == "ada"
    clock[0] += 61
    with pytest.raises(TokenRefusedError, match="expired"):
        verifier.claims(token)


def test_a_verifier_remembers_no_more_than_so_many_tokens() -> None:
    """The cache is bounded, however many valid tokens arrive, and each is accepted."""
    verifier = Verifier(KEYS.public_key, ISSUER, AUDIENCE, max_cached=2)
    found = [KEYS.issue(name) for name in ("ada", "bob", "eve")]
    for token in (*found, *found):
        assert verifier.claims(token)["sub"] in {"ada", "bob", "eve"}
        assert len(verifier._valid) <= 2


def test_a_refused_token_is_refused_again() -> None:
    """A cached token does not make another one valid that begins alike."""
    verifier = Verifier(KEYS.public_key, ISSUER, AUDIENCE)
    token = KEYS.issue("ada")
    verifier.claims(token)
    forged = token[:-8] + ("A" * 8 if token[-8:] != "A" * 8 else "B" * 8)
    for _ in range(2):
        with pytest.raises(TokenRefusedError, match="signature"):
            verifier.claims(forged)


def test_another_key_is_refused() -> None:
    """A token of another key is refused, even if it names our key or none."""
    payload = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": int(time.time()) + 60}
    private = serialization.load_pem_private_key(_pem(OTHER_KEYS), password=None)
    for headers in ({"kid": KEYS.key_id}, {"kid": OTHER_KEYS.key_id}, {}):
        token = jwt.encode(payload, private, algorithm="RS256", headers=headers)  # type: ignore[arg-type]  # an RSA key
        with pytest.raises(TokenRefusedError):
            VERIFIER.claims(token)


def test_other_algorithms_are_refused() -> None:
    """`alg=none`, and HS256 with the public key as its secret, are refused."""
    header, payload, _ = KEYS.issue("ada").split(".")
    public = KEYS.public_key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for algorithm in ("none", "None", "HS256", "RS512"):
        forged = segment({"alg": algorithm, "typ": "JWT", "kid": KEYS.key_id})
        for signature in (
            "",
            base64.urlsafe_b64encode(_hs256(f"{forged}.{payload}", public)).decode().rstrip("="),
        ):
            with pytest.raises(TokenRefusedError):
                VERIFIER.claims(f"{forged}.{payload}.{signature}")
    assert header


def test_tampered_tokens_are_refused() -> None:
    """A token with another payload, a cut signature, or missing parts is refused."""
    header, payload, signature = KEYS.issue("ada").split(".")
    other = KEYS.issue("bob").split(".")[1]
    broken = [
        f"{header}.{other}.{signature}",
        f"{header}.{payload}.{signature[:-4]}",
        f"{header}.{payload}.",
        f"{header}.{payload}",
        f"{header}.{segment({})}.{signature}",
        "",
        ".",
        "..",
        "a.b.c",
        "ä.ö.ü",
        f"{'.'.join([segment({'alg': 'RS256', 'kid': 7}), payload])}.{signature}",
        base64.urlsafe_b64encode(b"[" * 5000).decode() + ".e30.",
    ]
    for token in broken:
        with pytest.raises(TokenRefusedError):
            VERIFIER.claims(token)


@settings(max_examples=examples(40))
@given(st.text(max_size=200))
def test_garbage_is_refused(text: str) -> None:
    """Any text raises only this one error."""
    with pytest.raises(TokenRefusedError):
        VERIFIER.claims(text)


def test_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    """Concurrent starts agree on one key, which only its owner can read; no other file remains."""
    directory = tmp_path / "new" / "state"
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: KeyPair.load_or_create(directory).key_id, range(4)))
    assert len(set(made)) == 1
    assert KeyPair.load_or_create(directory).key_id == made[0]
    assert [path.name for path in directory.iterdir()] == [KEY_FILE]
    assert stat.S_IMODE((directory / KEY_FILE).stat().st_mode) == 0o600


def test_broken_key_file_is_an_error(tmp_path: Path) -> None:
    """An invalid key file is reported, not replaced: tokens of the old key may be in use."""
    (tmp_path / KEY_FILE).write_text("garbage")
    with pytest.raises(ValueError, match="Remove it"):
        KeyPair.load_or_create(tmp_path)


def test_command_line_prints_a_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m local.tokens USER` prints a token that the local stack accepts."""
    assert main(["ada lovelace", "--state", str(tmp_path)]) == 0
    keys = KeyPair.load_or_create(tmp_path)
    claims = Verifier(keys.public_key, ISSUER, AUDIENCE).claims(capsys.readouterr().out.strip())
    assert claims["sub"] == "ada lovelace"


@pytest.mark.parametrize(
    "name",
    [
        "me",
        "",
        ".",
        "..",
        "a/b",
        "a?b",
        "a#b",
        "a%b",
        "a\\b",
        "a\nb",
        "x" * 129,
        "é" * 65,
        "\udcff",
        "#erased",
        "\u200b",
        "a\u202eb",
    ],
    ids=ascii,
)
def test_command_line_refuses_whom_the_api_refuses(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """It explains the problem instead of printing a token that gets 401, and creates no key."""
    assert api("GET", "/v1/channels", user=name).status == 401
    capsys.readouterr()  # the request's line, which is logged where another test has set up logging
    with pytest.raises(SystemExit):
        main([name, "--state", str(tmp_path)])
    printed = capsys.readouterr()
    assert "USER must" in printed.err
    assert name == keys.ME or keys.USER_ID_RULE in " ".join(printed.err.split())
    assert (printed.out, list(tmp_path.iterdir())) == ("", [])


def test_published_keys_verify_tokens() -> None:
    """The JWKS contains the key that tokens name, and it verifies them."""
    (published,) = jwt.PyJWKSet.from_dict(KEYS.jwks()).keys
    assert published.key_id == KEYS.key_id
    assert jwt.decode(KEYS.issue("ada"), published, audience=AUDIENCE, algorithms=["RS256"])["sub"] == "ada"


def _pem(keys: KeyPair) -> bytes:
    return keys._private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _hs256(message: str, key: bytes) -> bytes:
    import hashlib
    import hmac

    return hmac.new(key, message.encode(), hashlib.sha256).digest()
