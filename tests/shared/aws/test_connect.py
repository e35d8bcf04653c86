"""Which client is made of which variables."""

from __future__ import annotations

import pytest

from shared.aws.botocore_client import BotocoreClient
from shared.aws.client import Client
from shared.aws.connect import BOTO3_ONLY, CallLimits, aws_client, dynamodb_client
from shared.aws.protocol import AwsClient
from shared.settings import Settings, SettingsError
from tests.cases import case

LAMBDA = {
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
}


@pytest.fixture(autouse=True)
def _found_by_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 reads the environment in any case; without credentials it would search for some."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def host_of(client: AwsClient) -> str:
    """The host that Budgie's own client asks."""
    assert isinstance(client, Client)
    return client._connections.host


def test_lambda_gets_ours() -> None:
    """Over TLS, at the region's address."""
    for region in ["eu-central-1", "us-east-1", "us-gov-west-1", "ap-southeast-2", "mx-central-1"]:
        with case(region):
            made = dynamodb_client(Settings(), LAMBDA | {"AWS_REGION": region})
            assert host_of(made) == f"dynamodb.{region}.amazonaws.com"
            assert isinstance(made, Client)
            assert made._connections._new()._context.check_hostname  # type: ignore[attr-defined]


def test_an_engine_elsewhere_gets_ours() -> None:
    """At the address that the setting names, in any region."""
    settings = Settings(dynamodb_endpoint_url="http://127.0.0.1:8000")
    made = dynamodb_client(settings, LAMBDA | {"AWS_REGION": "cn-north-1", "AWS_CA_BUNDLE": "for others"})
    assert host_of(made) == "127.0.0.1:8000"


def test_what_only_boto3_knows_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles, other endpoints, proxies and certificates."""
    for variable in BOTO3_ONLY:
        with case(variable):
            monkeypatch.delenv(variable, raising=False)
            made = dynamodb_client(Settings(), LAMBDA | {variable: "something"})
            assert isinstance(made, BotocoreClient)


def test_an_address_that_is_none_is_a_setting_that_cannot_be_used() -> None:
    """Found when the client is made, by name, and not taken for a service that is down."""
    for url in ["nonsense", "127.0.0.1:8000", "ftp://somewhere", "http://[", "http://"]:
        with case(url), pytest.raises(SettingsError, match="dynamodb"):
            dynamodb_client(Settings(dynamodb_endpoint_url=url), LAMBDA)


def test_what_boto3_cannot_be_made_of_is_a_setting_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A profile that there is not."""
    monkeypatch.setenv("AWS_PROFILE", "nonesuch")
    with pytest.raises(SettingsError, match="nonesuch"):
        dynamodb_client(Settings(), LAMBDA | {"AWS_PROFILE": "nonesuch"})


def test_other_partitions_are_left_to_boto3() -> None:
    """Their domains differ."""
    for region in ["cn-north-1", "us-iso-east-1", "nowhere", ""]:
        with case(region):
            assert isinstance(dynamodb_client(Settings(), LAMBDA | {"AWS_REGION": region}), BotocoreClient)


def test_without_keys_boto3_looks_for_them() -> None:
    """As with SnapStart, or a developer's own configuration."""
    for missing in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]:
        with case(missing):
            environ = {name: value for name, value in LAMBDA.items() if name != missing}
            assert isinstance(dynamodb_client(Settings(), environ), BotocoreClient)


def test_a_services_own_address_counts() -> None:
    """As boto3 takes it: the variable of that service, and of no other."""
    environ = LAMBDA | {"AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:9"}
    made = aws_client("ssm", CallLimits(500, 1_000, 2), environ)
    assert host_of(made) == "127.0.0.1:9"
    other = dynamodb_client(Settings(), environ)
    assert host_of(other) == "dynamodb.eu-central-1.amazonaws.com"
