"""What becomes of botocore's exceptions: each is one of ours, with itself as the cause."""

from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from shared.aws.botocore_client import BotocoreClient
from shared.aws.protocol import NoAnswerError, ServiceError
from tests.cases import case

ENDPOINT = {"endpoint_url": "https://dynamodb.example.com"}


def raising(error: Exception) -> BotocoreClient:
    """A client whose every call ends like this before anything is sent."""

    def fail(**_: object) -> None:
        raise error

    made = boto3.client(
        "dynamodb", region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
    made.meta.events.register("before-call", fail)
    return BotocoreClient(made)


def test_what_the_network_is_to_blame_for_is_no_answer() -> None:
    """It may pass; its kind alone is the code."""
    for error in [
        EndpointConnectionError(**ENDPOINT),
        ConnectTimeoutError(**ENDPOINT),
        ReadTimeoutError(**ENDPOINT),
        CredentialRetrievalError(provider="role", error_msg="the network"),
        ResponseParserError(),
    ]:
        with case(error):
            with pytest.raises(NoAnswerError) as caught:
                raising(error).call("ListTables", {})
            assert caught.value.code == type(error).__name__
            assert caught.value.__cause__ is error


def test_what_is_found_before_anything_is_sent_lasts() -> None:
    """It is permanent: the settings must be corrected."""
    for error in [NoCredentialsError(), NoRegionError(), ParamValidationError(report="TableName")]:
        with case(error):
            with pytest.raises(ServiceError) as caught:
                raising(error).call("ListTables", {})
            assert (caught.value.code, caught.value.is_permanent) == (type(error).__name__, True)
            assert caught.value.__cause__ is error


def test_arguments_that_cannot_be_are_refused_for_good() -> None:
    """Botocore validates them itself."""
    with pytest.raises(ServiceError, match="ParamValidationError"):
        raising(AssertionError()).call("GetItem", {"Table": "table"})
