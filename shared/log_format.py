"""How a log line is written: Powertools' line, in half of its time, as every request writes one.

Kept apart from ``telemetry``, for importing Powertools takes a while.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

_OWN: Final = frozenset([*vars(logging.makeLogRecord({})), "message", "asctime"])
"""Attributes that every record has; all others are the line's fields."""
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
        fields = record.__dict__.items()
        line |= {name: value for name, value in fields if value is not None and name not in _OWN}
        if (trace := self._get_latest_trace_id()) is not None:
            line["xray_trace_id"] = trace
        return _ENCODE(line)
