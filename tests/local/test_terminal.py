"""`make run` shows one short line per request; the complete log is kept."""

from __future__ import annotations

import io
import json

from local.terminal import Terminal


def _terminal() -> tuple[Terminal, io.StringIO, io.StringIO]:
    shown, whole = io.StringIO(), io.StringIO()
    return Terminal(shown, whole), shown, whole


def _entry(**fields: object) -> str:
    return json.dumps({"level": "INFO", "message": "request", **fields}, separators=(",", ":")) + "\n"


def test_a_request_is_one_line() -> None:
    """The gateway's line, with the error's code; the function's line goes to the file unchanged."""
    terminal, shown, whole = _terminal()
    lines = [
        _entry(request_id="a=", status=200),
        _entry(request_id="b=", status=422, code="validation_failed"),
    ]
    terminal.write("".join(lines))
    terminal.request("13:55:38 GET /v1/channels 200 8 ms a=")
    terminal.request("13:55:39 POST /v1/channels 422 5 ms b=")
    assert shown.getvalue().splitlines() == [
        "13:55:38 GET /v1/channels 200 8 ms a=",
        "13:55:39 POST /v1/channels 422 5 ms b= validation_failed",
    ]
    assert whole.getvalue() == "".join(lines)


def test_a_warning_is_shown_with_its_cause() -> None:
    """It is shown, although it belongs to no request."""
    terminal, shown, whole = _terminal()
    terminal.write(_entry(level="ERROR", message="crash", error="KeyError", frames=["x"]))
    assert shown.getvalue() == "ERROR crash KeyError\n"
    assert "frames" in whole.getvalue()


def test_other_text_is_shown_as_it_is() -> None:
    """Line by line, however it is written, including text that only looks like a log line."""
    terminal, shown, whole = _terminal()
    for piece in ("Stop", "ped.\n", '{"level" is no JSON\n', "\n"):
        terminal.write(piece)
    assert shown.getvalue() == 'Stopped.\n{"level" is no JSON\n\n'
    assert whole.getvalue() == ""


def test_codes_of_requests_without_a_line_are_forgotten() -> None:
    """Error codes that are never used do not accumulate."""
    terminal, shown, _ = _terminal()
    for number in range(2_000):
        terminal.write(_entry(request_id=str(number), code="not_found"))
    terminal.request("GET / 404 1 ms 1")
    terminal.request("GET / 404 1 ms 1999")
    assert shown.getvalue().splitlines() == ["GET / 404 1 ms 1", "GET / 404 1 ms 1999 not_found"]
