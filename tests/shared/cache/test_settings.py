"""The settings of the cache: what is derived, what is refused, and that no secret is quoted."""

from __future__ import annotations

from dataclasses import fields

import pytest

from shared.cache.build import build_cache, bundle_policies, memory_tiers
from shared.cache.redis import RedisTier
from shared.cache.tier import MemoryTier, NoTier
from shared.settings import CHOICES, RANGES, Settings, SettingsError
from tests.cases import case
from tests.conftest import FakeClock

SECRET = "AX-very-secret"
REDIS_URL = f"rediss://default:{SECRET}@eu1-happy-fox-1.upstash.io:6379"


def test_a_redis_url_gives_address_and_token() -> None:
    """The REST address and the token of an Upstash database follow from its Redis URL; a password may be escaped."""
    found = Settings.from_env({"REDIS_URL": REDIS_URL})
    assert (found.upstash_url, found.upstash_token) == ("https://eu1-happy-fox-1.upstash.io", SECRET)
    assert Settings.from_env({"REDIS_URL": REDIS_URL.replace(SECRET, "a%2Fb%40")}).upstash_token == "a/b@"


def test_rest_variables_go_first() -> None:
    """Where both are given, the REST address and its token are used."""
    rest = {"UPSTASH_REDIS_REST_URL": "https://x.upstash.io", "UPSTASH_REDIS_REST_TOKEN": "t"}
    found = Settings.from_env({"REDIS_URL": REDIS_URL} | rest)
    assert (found.upstash_url, found.upstash_token) == ("https://x.upstash.io", "t")


def test_another_redis_is_refused() -> None:
    """The error names the variable and what is supported, and quotes nothing of it."""
    for url in [
        f"rediss://default:{SECRET}@redis.example.com:6379",
        f"redis://:{SECRET}@127.0.0.1:6379/0",
        f"rediss://default:{SECRET}@upstash.io.example.com:6379",
        f"https://default:{SECRET}@x.upstash.io",
        f"unix://{SECRET}",
        "rediss://x.upstash.io:6379",
        SECRET,
    ]:
        with case(url):
            with pytest.raises(SettingsError, match=r"REDIS_URL: .*UPSTASH_REDIS_REST_URL") as caught:
                Settings.from_env({"REDIS_URL": url})
            assert SECRET not in str(caught.value)


def test_an_address_without_a_token_is_refused() -> None:
    """The error names what is missing."""
    with pytest.raises(SettingsError, match="UPSTASH_REDIS_REST_TOKEN"):
        Settings.from_env({"UPSTASH_REDIS_REST_URL": "https://x.upstash.io"})


def test_a_value_that_cannot_be_used_is_refused() -> None:
    """The error names the variable."""
    for variable, value in [
        ("CACHE_CODEC", "lz4"),
        ("CACHE_MEMORY_BYTES", "many"),
        ("CACHE_MEMORY_BYTES", "0"),
        ("CACHE_KEEP", "-1"),
        ("REDIS_READ_TIMEOUT_MS", "0.5"),
        ("REDIS_BREAKER_FAILURES", "0"),
    ]:
        with case(variable, value), pytest.raises(SettingsError, match=f"^{variable}: "):
            Settings.from_env({variable: value})


def test_a_number_outside_of_its_range_is_refused() -> None:
    """Its ends are allowed; the error names the variable and the range."""
    for variable, least, most in [(name, *each) for name, each in RANGES.items()]:
        with case(variable, least, most):
            for value in (least, most):
                Settings.from_env({variable: str(value)})
            for text in ("0", "-1", str(most + 1), "nan", "inf", "1e999", "", " "):
                if text.strip():
                    with pytest.raises(SettingsError, match=f"^{variable}: "):
                        Settings.from_env({variable: text})


def test_every_number_has_a_range_and_every_choice_is_checked() -> None:
    """Each number has a range, and each choice is checked when the settings are read."""
    kinds = {each.metadata["variable"]: type(each.default) for each in fields(Settings)}
    assert {name for name, kind in kinds.items() if kind is not str} == set(RANGES)
    assert set(CHOICES) <= set(kinds)
    for variable, choices in CHOICES.items():
        with pytest.raises(SettingsError, match=f"^{variable}: 'ful' is not one of {', '.join(choices)}"):
            Settings.from_env({variable: "ful"})


TOKEN = {"UPSTASH_REDIS_REST_TOKEN": "t"}


def test_what_is_no_rest_address_is_refused() -> None:
    """With a sentence that says what to set, and quotes no secret."""
    for address, says in [
        ("us1-x.upstash.io", "must begin with https://"),
        ("redis://default:secret@us1-x.upstash.io:6379", "REDIS_URL"),
        ("rediss://default:secret@us1-x.upstash.io:6379", "REDIS_URL"),
        ("http://us1-x.upstash.io", "must begin with https://"),
        ("https://user:secret@us1-x.upstash.io", "without user"),
        ("https://us1-x.upstash.io?_token=secret", "without user"),
        ("https://us1-x .upstash.io", "not a URL"),
        ("https://", "not a URL"),
        ("https://[", "not a URL"),
        ("https://x:99999", "not a URL"),
        ("ftp://us1-x.upstash.io", "not a URL"),
    ]:
        with case(address, says):
            with pytest.raises(SettingsError, match=f"^UPSTASH_REDIS_REST_URL: .*{says}") as caught:
                Settings.from_env({"UPSTASH_REDIS_REST_URL": address, **TOKEN})
            assert "secret" not in str(caught.value)


def test_quotes_are_no_part_of_a_value() -> None:
    """As `.env` files are read; a slash at the end is none of an address either."""
    for quote in ['"', "'"]:
        with case(quote):
            given = {"UPSTASH_REDIS_REST_URL": "https://us1-x.upstash.io/", **TOKEN, "CACHE_KEEP": "66"}
            found = Settings.from_env({name: f" {quote}{value}{quote} " for name, value in given.items()})
            assert (found.upstash_url, found.upstash_token) == ("https://us1-x.upstash.io", "t")
            assert found.cache_keep_seconds == 66


def test_a_text_that_cannot_be_used_is_refused() -> None:
    """Where it would fail each request later; no secret is quoted."""
    for variable, value in [
        ("UPSTASH_REDIS_REST_TOKEN", "secret\N{SNOWMAN}"),
        ("UPSTASH_REDIS_REST_TOKEN", "secret\nsecret"),
        ("TABLE_NAME", "a table"),
        ("DYNAMODB_ENDPOINT_URL", "localhost:8000"),
        ("DYNAMODB_ENDPOINT_URL", "https://user:secret@x"),
    ]:
        with case(variable, value):
            with pytest.raises(SettingsError, match=f"^{variable}: ") as caught:
                Settings.from_env({variable: value})
            assert "secret" not in str(caught.value)


def bounds_of(tier: MemoryTier) -> tuple[int, float]:
    """How many bytes a tier in memory holds, and how many milliseconds it keeps a value."""
    return tier._max_bytes, tier._keep_ms


def test_without_redis_there_is_memory_alone(clock: FakeClock) -> None:
    """Nothing set up: memory of 32 MB, no client, nothing that could fail."""
    cache = build_cache(Settings.from_env({}), clock.now)
    assert cache.upstash is None
    assert isinstance(cache.pages, NoTier)
    assert isinstance(cache.lists, NoTier)
    assert sum(bounds_of(each)[0] for each in memory_tiers(Settings(), clock.now)) == 32 * 1024 * 1024


def test_every_setting_arrives(clock: FakeClock) -> None:
    """Times, limits and codec reach what they are for; pages and lists have keys of their own."""
    given = {
        "TABLE_NAME": "tab",
        "REDIS_URL": REDIS_URL,
        "REDIS_CONNECT_TIMEOUT_MS": "11",
        "REDIS_READ_TIMEOUT_MS": "22",
        "REDIS_BREAKER_FAILURES": "4",
        "REDIS_BREAKER_OPEN_MS": "55",
        "CACHE_KEEP": "66",
        "CACHE_MEMORY_BYTES": "7777",
        "CACHE_CODEC": "gzip",
        "CACHE_TTL_MESSAGES": "88",
        "CACHE_TTL_CHANNELS": "99",
    }
    found = Settings.from_env(given)
    cache = build_cache(found, clock.now)
    assert cache.upstash is not None
    options = cache.upstash._options
    assert (options.connect_ms, options.read_ms) == (11, 22)
    assert (options.breaker_failures, options.breaker_open_ms) == (4, 55)
    assert isinstance(cache.pages, RedisTier)
    assert isinstance(cache.lists, RedisTier)
    assert [(each.keep_seconds, each.codec) for each in bundle_policies(found)] == [(66, "gzip")] * 2
    assert [each._key for each in (cache.pages, cache.lists)] == ["tab:p1", "tab:u1"]
    assert bounds_of(cache.memory) == (7_777 - 972, 66_000)
    # An eighth, kept as long as anything in it may be served.
    assert [bounds_of(each) for each in memory_tiers(found, clock.now)] == [(6_805, 66_000), (972, 99_000)]
    assert (cache.stale_fallback._messages_ms, cache.stale_fallback._channels_ms) == (88_000, 99_000)


def test_unused_lists_stay_longer_than_unused_blocks() -> None:
    """Unused texts leave Redis after the configured time, lists, which hold no text, after twice that."""
    blocks, lists = bundle_policies(Settings(cache_keep_seconds=100, cache_codec="gzip"))
    assert (blocks.keep_seconds, blocks.unused_seconds, blocks.codec) == (100, 100, "gzip")
    assert (lists.keep_seconds, lists.unused_seconds, lists.codec) == (100, 200, "gzip")
