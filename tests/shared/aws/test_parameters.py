"""Reading the Redis token from Systems Manager when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from shared.aws.parameters import SecretUnavailableError, parameter_reader
from shared.aws.protocol import NoAnswerError
from shared.cache.refusals import AUTH_OPEN_MS
from shared.cache.upstash import RedisError, Upstash, UpstashOptions
from shared.observability.meter import CacheMetrics, start_meter
from shared.settings import Settings, SettingsError
from tests.artifacts.parameters import parameter_store
from tests.contract.fake_client import refusal
from tests.endpoint import TOKEN, opened_endpoint

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import FakeClock


class FakeSsm:
    """A client of Systems Manager with one parameter."""

    def __init__(self, value: str | Exception) -> None:
        self.value = value
        self.asked: list[dict[str, Any]] = []
        self.closed = 0

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The parameter, or the failure."""
        assert operation == "GetParameter"
        self.asked.append(dict(arguments))
        if isinstance(self.value, Exception):
            raise self.value
        return {"Parameter": {"Value": self.value}}

    def close(self) -> None:
        """Counted."""
        self.closed += 1


FAILURES = [
    refusal("ParameterNotFound"),
    refusal("AccessDeniedException"),
    NoAnswerError("EndpointConnectionError"),
]


def upstash(url: str, read: Callable[[], str], clock: FakeClock) -> Upstash:
    """A client that finds its token out."""
    return Upstash(UpstashOptions(url, "", 2_000, 2_000, read_token=read), CacheMetrics(), clock.now)


def test_the_parameter_is_decrypted() -> None:
    """It is requested by its name, and a stored line end is dropped."""
    ssm = FakeSsm("token\n")
    assert parameter_reader("/budgie/token", lambda: ssm)() == "token"
    assert ssm.asked == [{"Name": "/budgie/token", "WithDecryption": True}]
    assert ssm.closed == 1


@pytest.mark.parametrize("failure", FAILURES)
def test_what_aws_says_is_not_passed_on(failure: Exception) -> None:
    """One kind of error, without names."""
    with pytest.raises(SecretUnavailableError) as caught:
        parameter_reader("/budgie/token", lambda: FakeSsm(failure))()
    assert str(caught.value) == ""
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("failure", "code", "lasts"),
    [
        (FAILURES[0], "ParameterNotFound", True),
        (FAILURES[1], "AccessDeniedException", True),
        (FAILURES[2], "EndpointConnectionError", False),
    ],
)
def test_what_aws_says_is_in_the_log(failure: Exception, code: str, lasts: object) -> None:
    """The code alone, and a metric where it lasts: no name of a parameter, role or account."""
    made = start_meter()
    with pytest.raises(SecretUnavailableError):
        parameter_reader("/budgie/token", lambda: FakeSsm(failure))()
    assert (made.aws_error, made.ledger.take_misconfigured()) == (code, lasts)


def test_without_a_token_redis_is_left_alone(clock: FakeClock) -> None:
    """It counts as a failure: three of them open the breaker."""
    ssm = FakeSsm(FAILURES[0])
    redis = upstash("http://127.0.0.1:1", parameter_reader("/t", lambda: ssm), clock)
    for kind in ("no_token",) * 3 + ("breaker_open",):
        with pytest.raises(RedisError) as caught:
            redis.execute("test", "PING")
        assert caught.value.kind == kind
    assert len(ssm.asked) == 3


@pytest.mark.stack
def test_lambda_asks_without_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """By our own client, signed, with the parameter's name; one that is not there is unavailable."""
    with parameter_store({"/budgie/token": "token\n"}) as (url, asked):
        for name, value in {"AWS_ENDPOINT_URL_SSM": url, "AWS_REGION": "us-east-1"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        assert parameter_reader("/budgie/token")() == "token"
        with pytest.raises(SecretUnavailableError):
            parameter_reader("/another")()
    assert asked == ["/budgie/token", "/another"]


@pytest.mark.stack
def test_the_token_is_read_once(tmp_path: Path, clock: FakeClock) -> None:
    """When it is first needed, and not again."""
    ssm = FakeSsm(TOKEN)
    with opened_endpoint(tmp_path) as endpoint:
        redis = upstash(endpoint.url, parameter_reader("/t", lambda: ssm), clock)
        assert ssm.asked == []
        assert [redis.execute("test", "PING") for _ in range(3)] == ["PONG"] * 3
        redis.close()
        assert redis.execute("test", "PING") == "PONG"
        redis.close()
    assert len(ssm.asked) == 1


@pytest.mark.stack
def test_a_token_that_was_replaced_is_read_again(tmp_path: Path, clock: FakeClock) -> None:
    """A refused token is forgotten: once the breaker lets the next command through, the new one is used."""
    ssm = FakeSsm("the-old-one")
    with opened_endpoint(tmp_path) as endpoint:
        redis = upstash(endpoint.url, parameter_reader("/t", lambda: ssm), clock)
        with pytest.raises(RedisError, match="refused_token"):
            redis.execute("test", "PING")
        ssm.value = TOKEN
        clock.ms += AUTH_OPEN_MS
        assert redis.execute("test", "PING") == "PONG"
        redis.close()


def test_settings_need_one_of_both() -> None:
    """An address without a token or the name of one is refused."""
    url = {"UPSTASH_REDIS_REST_URL": "https://some.upstash.io"}
    assert Settings.from_env(url | {"UPSTASH_TOKEN_PARAMETER": "/t"}).upstash_token_parameter == "/t"
    with pytest.raises(SettingsError, match="UPSTASH_REDIS_REST_TOKEN"):
        Settings.from_env(url)
