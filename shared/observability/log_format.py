"""Formats log lines like Powertools, in half the time, as every request writes one.

Separate from ``telemetry``, which every handler imports, because loading Powertools takes a tenth of a second.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from pydantic_core import to_json

TOGETHER: Final = "fields"
"""The record's attribute that holds all fields; twice as fast as twenty attributes."""
DIRECTIVE: Final = "directive"
"""The attribute of a request's record that holds the line's ``_aws`` as JSON text."""
_OWN: Final = frozenset([*vars(logging.makeLogRecord({})), "message", "asctime", TOGETHER, DIRECTIVE])
"""The attributes of a record that are not fields of the line."""
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


class LineFormatter(LambdaPowertoolsFormatter):
    """Writes the fields under Powertools' names, without those that are None.

    Powertools itself formats records with an exception or arguments. Keys appended to the logger are not written,
    except the service; Budgie appends none.
    """

    def __init__(self) -> None:
        super().__init__(utc=True, use_rfc3339=True)

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object on one line."""
        if record.exc_info or record.args:
            return super().format(record)
        own = record.__dict__
        together, directive = own.get(TOGETHER), own.get(DIRECTIVE)
        line: dict[str, Any] = {
            "level": record.levelname,
            "location": f"{record.funcName}:{record.lineno}",
            "message": record.msg,
            "timestamp": self.formatTime(record),
            "service": self.log_format["service"],
        }
        fields = _fields(own) if together is None else together
        line |= {name: value for name, value in fields.items() if value is not None}
        if (trace := self._get_latest_trace_id()) is not None:
            line["xray_trace_id"] = trace
        if directive is None:
            return _ENCODE(line)
        # Five times as fast. It writes sets and bytes differently, but requests have no such fields.
        return f'{to_json(line).decode()[:-1]},"_aws":{directive}}}'


def _fields(own: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in own.items() if name not in _OWN}
