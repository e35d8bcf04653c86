"""A function whose settings cannot be used says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.api import event

ROOT: Final = Path(__file__).resolve().parents[3]
CALL: Final = """
import json, sys
from functions.list_channels.handler import handler
print(json.dumps(handler(json.loads(sys.argv[1]), None)))
"""
LAMBDA: Final = {
    "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CACHE_MEMORY_BYTES", "0"),
        ("METRICS_DETAIL", "ful"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_function_names_the_variable(variable: str, value: str) -> None:
    """In a line of its log, at its start and at each request, which counts as misconfigured and so rings the alarm."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", CALL, json.dumps(event("GET", "/v1/channels"))],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **LAMBDA, variable: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *lines, response = [json.loads(line) for line in done.stdout.splitlines()]
    said = [line["detail"] for line in lines if line["message"] == "settings"]
    assert len(said) == 2
    assert all(each.startswith(f"{variable}: ") for each in said)
    request = next(line for line in lines if line["message"] == "request")
    assert (request["Misconfigured"], request["code"], response["statusCode"]) == (1, "misconfigured", 500)
