"""How a log line is written: Powertools' line, in half of its time, as every request writes one.

Kept apart from ``telemetry``, for importing Powertools takes a while.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

TOGETHER: Final = "fields"
"""The attribute of a record that holds a line's fields together: half the time of handing over twenty one by one."""
DIRECTIVE: Final = "directive"
"""The attribute with the line's ``_aws`` as JSON text."""
_OWN: Final = frozenset([*vars(logging.makeLogRecord({})), "message", "asctime", TOGETHER, DIRECTIVE])
"""Attributes that are no fields of the line; all others are."""
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


class LineFormatter(LambdaPowertoolsFormatter):
    """Fields as Powertools names them, None left out; a record with an exception or arguments is left to it.

    Keys that were appended to the logger are not written, but for the service; Budgie appends none.
    """

    def __init__(self) -> None:
        super().__init__(utc=True, use_rfc3339=True)

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object on one line."""
        if record.exc_info or record.args:
            return super().format(record)
        line: dict[str, Any] = {
            "level": record.levelname,
            "location": f"{record.funcName}:{record.lineno}",
            "message": record.msg,
            "timestamp": self.formatTime(record),
            "service": self.log_format["service"],
        }
        own = record.__dict__
        directive, together = own.get(DIRECTIVE), own.get(TOGETHER, {})
        for fields in (own, together):
            line |= {name: value for name, value in fields.items() if value is not None and name not in _OWN}
        if (trace := self._get_latest_trace_id()) is not None:
            line["xray_trace_id"] = trace
        text = _ENCODE(line)
        return text if directive is None else f'{text[:-1]},"_aws":{directive}}}'
