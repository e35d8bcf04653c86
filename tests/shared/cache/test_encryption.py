"""Encrypted values come back, and foreign values are misses."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.aws.parameters import SecretUnavailableError
from shared.cache.blocks import Block, Cached, Shareable, UnreadableError, block_key
from shared.cache.codec import unpack
from shared.cache.encryption import NONCE_BYTES, EncryptedUpstash, cipher_of, decrypt, encrypt
from shared.cache.redis import RedisTier
from shared.cache.upstash import RedisError
from shared.settings import CODECS, MIN_SECRET, Settings, SettingsError
from tests.blocks import CHANNEL, block, packed
from tests.cases import case
from tests.conftest import FakeClock
from tests.fakes import FakeUpstash
from tests.shared.cache.bundles import FIRST, KEY, POLICY, request

SECRET = "s" * MIN_SECRET
OTHER_SECRET = "o" * MIN_SECRET
CIPHER = cipher_of(SECRET)
ITEMS: dict[str, Shareable] = {FIRST: block(CHANNEL, 1, 5)}
ENCRYPTED = encrypt(CIPHER, KEY, packed(ITEMS))
RAW = base64.b64decode(ENCRYPTED[3:])


def opens(text: object, key: str = KEY, secret: str = SECRET) -> bool:
    """Whether a text is taken for one of ours; it raises nothing but its refusal."""
    try:
        decrypt(cipher_of(secret), key, text)
    except UnreadableError:
        return False
    return True


@pytest.mark.parametrize("codec", CODECS)
def test_an_encrypted_bundle_comes_back(codec: str) -> None:
    """As it was, and with nothing of it to be read before that."""
    text = packed(ITEMS, codec)
    encrypted = encrypt(CIPHER, KEY, text)
    assert encrypted.startswith(f"E2{codec[0]}")
    assert encrypted.isascii()
    assert decrypt(CIPHER, KEY, encrypted) == text
    assert base64.b64decode(text[3:])[:16] not in base64.b64decode(encrypted[3:])


def test_no_nonce_is_used_twice() -> None:
    """The same bundle encrypted again is another text."""
    nonces = {base64.b64decode(encrypt(CIPHER, KEY, packed(ITEMS))[3:])[:NONCE_BYTES] for _ in range(1_000)}
    assert len(nonces) == 1_000


@settings(deadline=None)
@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_a_changed_byte_is_a_miss(place: int, change: int) -> None:
    """Whichever byte is another: of the nonce, of the values, of the tag."""
    changed = bytearray(RAW)
    changed[place] ^= change
    assert not opens(ENCRYPTED[:3] + base64.b64encode(changed).decode())


@given(st.integers(0, len(ENCRYPTED) - 1))
def test_a_part_is_a_miss(length: int) -> None:
    """A text that is cut anywhere is a miss."""
    assert not opens(ENCRYPTED[:length])
    assert not opens(ENCRYPTED[:3] + base64.b64encode(RAW[: length % len(RAW)]).decode())


@given(st.text(max_size=20).filter(lambda key: key != KEY))
def test_a_value_of_another_key_is_a_miss(key: str) -> None:
    """A value that was encrypted for one table or kind is a miss under any other."""
    assert not opens(ENCRYPTED, key)


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=MIN_SECRET).filter(lambda secret: secret != SECRET))
def test_a_value_under_another_secret_is_a_miss(secret: str) -> None:
    """After the secret was changed, what was stored before is read no more."""
    assert not opens(ENCRYPTED, secret=secret)


@given(st.one_of(st.text(), st.text().map(lambda text: f"E2z{text}"), st.binary(), st.none(), st.integers()))
def test_any_other_value_is_a_miss(value: object) -> None:
    """Texts, bytes, numbers, nothing."""
    assert not opens(value)


def test_another_form_or_codec_is_a_miss() -> None:
    """A later form, or the bytes under another codec's letter, though all else is right."""
    for start in ["E1z", "E3z", "E2g", "e2z", "B2z"]:
        with case(start):
            assert not opens(start + ENCRYPTED[3:])


@pytest.mark.parametrize(
    ("forms", "is_ours"), [("E2B3z", True), ("E2B2z", False), ("E2z", False), ("E1z", False)]
)
def test_a_bundle_of_an_older_form_is_a_miss(forms: str, *, is_ours: bool) -> None:
    """Authentic bytes of another form of bundle are never read as if they were of this one."""
    nonce = bytes(NONCE_BYTES)
    encrypted = nonce + CIPHER.encrypt(nonce, base64.b64decode(packed(ITEMS)[3:]), f"{forms}{KEY}".encode())
    assert opens(f"E2z{base64.b64encode(encrypted).decode()}") is is_ours


def test_a_value_in_the_clear_is_a_miss() -> None:
    """Values that anyone with the database's token could write."""
    assert not opens(packed(ITEMS))
    with pytest.raises(UnreadableError):
        unpack(ENCRYPTED)


def test_a_secret_is_not_short() -> None:
    """A secret that could be guessed is none."""
    with pytest.raises(SecretUnavailableError):
        cipher_of("x" * (MIN_SECRET - 1))
    with pytest.raises(SettingsError, match="CACHE_ENCRYPTION_KEY") as caught:
        Settings.from_env({"CACHE_ENCRYPTION_KEY": "sesame"})
    assert "sesame" not in str(caught.value)


# --- in the tier ---


def tier_over(upstash: FakeUpstash, clock: FakeClock, read: Callable[[], str] = lambda: SECRET) -> RedisTier:
    """A fresh container's tier, loaded."""
    encrypted = EncryptedUpstash(upstash, read, clock.now)
    tier = RedisTier(encrypted, KEY, "pages", POLICY, upstash.metrics, clock.now)
    request(tier)
    return tier


def learned() -> dict[str, Cached]:
    """Enough to be written at once."""
    return {FIRST: block(CHANNEL, 1, 50)}


def test_a_container_leaves_its_successor_what_it_learned(upstash: FakeUpstash, clock: FakeClock) -> None:
    """Through Redis, where it cannot be read, with the expiry that all values have."""
    tier = tier_over(upstash, clock)
    tier.put(learned())
    request(tier)
    assert upstash.values[KEY].startswith("E2z")
    assert upstash.commands[-1][3] == "EX"
    assert tier_over(upstash, clock).get([FIRST]) == learned()


def test_a_forged_bundle_is_never_served(upstash: FakeUpstash, clock: FakeClock) -> None:
    """A well-formed bundle of another writer is counted as unreadable, and replaced by the next write."""
    forged = Block.of(
        1, tuple(b'{"id":"%b-%08d","seq":%d,"text":"forged"}' % (CHANNEL.encode(), n, n) for n in (1, 2))
    )
    upstash.values[KEY] = packed({FIRST: forged})
    tier = tier_over(upstash, clock)
    assert tier.get([FIRST]) == {}
    assert upstash.metrics.get("unreadable") == 1
    tier.put(learned())
    request(tier)
    assert tier_over(upstash, clock).get([FIRST]) == learned()


def test_an_older_bundle_put_back_is_one_that_is_behind(upstash: FakeUpstash, clock: FakeClock) -> None:
    """Authentic values of the past open: what they say of settled positions is right, DynamoDB says what they lack."""
    tier = tier_over(upstash, clock)
    tier.put(learned())
    request(tier)
    old = upstash.values[KEY]
    second = block_key(CHANNEL, 1)
    tier.put({second: block(CHANNEL, 51, 100)})
    clock.ms += POLICY.min_interval_ms
    request(tier)
    assert upstash.values[KEY] != old
    upstash.values[KEY] = old
    assert tier_over(upstash, clock).get([FIRST, second]) == learned()


def refusing() -> str:
    """A secret that cannot be read."""
    raise SecretUnavailableError


def short() -> str:
    """A secret that is none."""
    return "short"


@pytest.mark.parametrize("read", [refusing, short])
def test_without_the_secret_redis_is_left_alone(
    upstash: FakeUpstash, clock: FakeClock, read: Callable[[], str]
) -> None:
    """Nothing is sent, least of all in the clear, and the secret is asked for again after ten minutes."""
    upstash.values[KEY] = packed(ITEMS)
    tier = tier_over(upstash, clock, read)
    tier.put(learned())
    for _ in range(3):
        request(tier)
    assert (upstash.commands, upstash.metrics.get("failure.no_key")) == ([], 1)
    assert upstash.breaker.state == "open"
    clock.ms += 10 * 60_000
    request(tier)
    assert (upstash.commands, upstash.metrics.get("failure.no_key")) == ([], 2)


def test_a_secret_that_comes_late_is_taken(upstash: FakeUpstash, clock: FakeClock) -> None:
    """A container whose first read of the secret failed uses Redis ten minutes later."""
    responses: list[str] = []

    def late() -> str:
        return responses[0] if responses else refusing()

    tier = tier_over(upstash, clock, late)
    responses.append(SECRET)
    clock.ms += 10 * 60_000
    request(tier)
    assert upstash.commands == [("GET", KEY)]


def test_no_other_command_passes(upstash: FakeUpstash, clock: FakeClock) -> None:
    """A value that would not be encrypted is our own bug: it raises."""
    with pytest.raises(ValueError, match="MGET"):
        EncryptedUpstash(upstash, lambda: SECRET, clock.now).execute("get_pages", "MGET", KEY)


def test_redis_failures_stay_what_they_are(upstash: FakeUpstash, clock: FakeClock) -> None:
    """The seal adds no failures and hides none."""
    upstash.failure = "timeout"
    with pytest.raises(RedisError) as caught:
        EncryptedUpstash(upstash, lambda: SECRET, clock.now).execute("get_pages", "GET", KEY)
    assert caught.value.kind == "timeout"
