"""The setting that encrypts cached values: what it turns on, and what it never shows."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from shared.cache.build import build_cache
from shared.cache.encryption import EncryptedUpstash
from shared.cache.redis import RedisTier
from shared.settings import Settings
from tests.conftest import FakeClock
from tests.shared.cache.test_encryption import SECRET


@pytest.mark.parametrize(
    ("variables", "is_sealed"),
    [
        ({}, False),
        ({"CACHE_ENCRYPTION_KEY": SECRET}, True),
        ({"CACHE_ENCRYPTION_KEY_PARAMETER": "/budgie/cache-key"}, True),
    ],
)
def test_the_setting_seals_both_tiers(
    clock: FakeClock, variables: dict[str, str], *, is_sealed: bool
) -> None:
    """Pages and lists alike; without it values are as they were."""
    redis = {"UPSTASH_REDIS_REST_URL": "https://x.upstash.io", "UPSTASH_REDIS_REST_TOKEN": "t"}
    cache = build_cache(Settings.from_env(redis | variables), clock.now)
    for tier in (cache.pages, cache.lists):
        assert isinstance(tier, RedisTier)
        assert isinstance(tier._upstash, EncryptedUpstash) is is_sealed


def test_printed_settings_show_no_secret() -> None:
    """Neither the token, nor the URL that holds it, nor the key."""
    shown: Any = Settings(
        upstash_token="AX-token", redis_url="rediss://AX-token", cache_encryption_key=SECRET
    )
    assert "AX-token" not in repr(shown)
    assert (
        SECRET
        not in f"{shown} {build_cache(Settings(upstash_url='https://x', upstash_token='AX-token'), int)!r}"
    )


def test_without_the_setting_the_library_is_not_loaded() -> None:
    """Artifacts need not hold it."""
    code = (
        "import sys\nfrom shared.settings import Settings\nfrom shared.cache.build import build_cache\n"
        "build_cache(Settings(upstash_url='https://x', upstash_token='t'), int)\nprint('cryptography' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert done.stdout.strip() == "False"


def test_without_the_library_redis_is_left_alone() -> None:
    """An artifact that was built without it stores nothing in the clear, and says why."""
    code = (
        "import sys\nsys.modules['cryptography'] = None\n"
        "from shared.cache.build import build_cache\nfrom shared.settings import Settings\n"
        "made = Settings(upstash_url='https://x', upstash_token='t', cache_encryption_key='s' * 32)\n"
        "cache = build_cache(made, int)\n"
        "cache.pages.begin()\ncache.pages.settle()\nprint(cache.metrics.snapshot()['redis_failures'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    line, failures = done.stdout.splitlines()
    assert failures == "{'no_cipher': 1}"
    assert json.loads(line)["redis"] == "no_cipher"
