"""How a log line is written."""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from shared.observability.log_format import LineFormatter
from tests.cases import case


def record(message: str, *arguments: Any, **fields: Any) -> logging.LogRecord:
    """What a logger hands to its formatter."""
    made = logging.LogRecord("budgie", logging.INFO, __file__, 7, message, arguments, None, "request")
    made.__dict__.update(fields)
    return made


def line(made: logging.LogRecord) -> dict[str, Any]:
    """The line, read back."""
    formatter = LineFormatter()
    formatter.append_keys(service="budgie")
    text = formatter.format(made)
    assert "\n" not in text
    read: dict[str, Any] = json.loads(text)
    return read


def test_a_line_is_powertools_line() -> None:
    """For any fields the line equals that of Powertools, field by field."""
    made = record("request", status=200, ms=1.5, cold=False, code=None, route="GET /ü", calls={"a": {1}})
    theirs = LambdaPowertoolsFormatter(utc=True, use_rfc3339=True)
    theirs.append_keys(service="budgie")
    assert line(made) == json.loads(theirs.format(made))


def test_a_line_says_what_and_when() -> None:
    """Level, place, message, time, service; fields without a value are left out."""
    found = line(record("request", code=None, tier="memory"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", found.pop("timestamp"))
    assert found == {
        "level": "INFO",
        "location": "request:7",
        "message": "request",
        "service": "budgie",
        "tier": "memory",
    }


def test_arguments_are_put_into_the_message() -> None:
    """As for any logger."""
    assert line(record("%s of %d", "one", 2))["message"] == "one of 2"


def test_an_exception_comes_with_its_trace() -> None:
    """A record with an exception is Powertools' to write."""
    try:
        raise KeyError("x")  # noqa: TRY301 - to be caught here
    except KeyError:
        made = logging.LogRecord("budgie", logging.ERROR, __file__, 7, "crash", None, sys.exc_info())
    assert line(made)["exception_name"] == "KeyError"


def test_what_json_has_no_word_for_is_written_as_text() -> None:
    """A log line never fails for its content."""
    for value in [object(), {1}, b"x", ValueError("x")]:
        with case(value):
            assert line(record("request", value=value))["value"] == str(value)


def test_fields_may_come_together_with_a_directive() -> None:
    """As a request's do: written as if each had come alone, the directive as it is."""
    fields = {"status": 200, "code": None, "ms": 1.5}
    alone = line(record("request", **fields))
    together = line(record("request", fields=fields, directive='{"Timestamp":1}'))
    assert together.pop("_aws") == {"Timestamp": 1}
    assert together | {"timestamp": ""} == alone | {"timestamp": ""}
