"""Between Lambda's events of the table's stream and the dispatcher; without FastAPI, as there is nothing to route.

Lambda repeats a batch from the first record that is reported as failed. A stream is an ordered log, so nothing after a
record that cannot be understood is dispatched; but the failure of one channel holds up no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from shared import bootstrap
from shared.aws.sender import Sender
from shared.bootstrap import Services, known_error
from shared.domain.errors import BudgieError
from shared.domain.news import News
from shared.observability import telemetry
from shared.observability.meter import Meter, start_meter
from shared.storage.stream import news_of
from shared.use_cases.dispatch_changes import Dispatched, channel_of
from shared.use_cases.fan_out import Stalled
from shared.web.plain_handler import PlainHandler, warm_up

Dispatch = Callable[[Services, Sender, Sequence[News], Stalled], Dispatched]


class BatchFailedError(Exception):
    """A batch failed at its first record."""


class Handler(PlainHandler):
    """The function's entry point; ``dispatch`` is what it does with the news of a batch."""

    def __init__(
        self,
        function: str,
        dispatch: Dispatch,
        services: Callable[[], Services],
        sender: Callable[[], Sender],
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(function, services, sender, now)
        self._dispatch = dispatch
        self._stalled: dict[str, int] = {}

    def __call__(self, event: Any, context: Any = None) -> dict[str, Any]:  # noqa: ANN401 - any payload
        """The first record that is to be repeated, if there is one, as ``ReportBatchItemFailures`` wants it.

        Raises:
            BatchFailedError: it is the very first. Lambda divides a batch where the function says that it failed, and
                in the middle if the invocation fails; so no record is given up together with those after it.
        """
        started, meter = self._now(), start_meter(self._ledger)
        records, code = _records(event), None
        read = _read(records)
        try:
            done = self._dispatch(
                self._services(), self._sender(), [news for each in read for news in each], self._stalled
            )
        except Exception as error:  # noqa: BLE001 - an unexpected error is one log line, and the batch is repeated
            known = known_error(error)
            if known is None:
                telemetry.log_crash(error, str(getattr(context, "aws_request_id", "none")))
            code = (known or BudgieError()).code
            done, failed_at = Dispatched(), 0
        else:
            failed_at = _failed_at(read, done.failed)
        if done.refused:
            meter.failed("FrameRefused", is_permanent=True)  # as a rule, the right to send is missing
        poisoned = done.poisoned + (len(read) < len(records))
        ms = round((self._now() - started) * 1000, 1)
        self._log(len(records), done, poisoned, meter, code, ms)
        if records and failed_at == 0:
            raise BatchFailedError
        return {"batchItemFailures": [{"itemIdentifier": _number(each)} for each in records[failed_at:][:1]]}

    def _log(
        self, records: int, done: Dispatched, poisoned: int, meter: Meter, code: str | None, ms: float
    ) -> None:
        meter.close()
        # Names are joined: CloudWatch's queries show no lists.
        fields = self._fields(meter, code, ms) | {
            "records": records,
            "connections": done.connections,
            "frames": done.frames,
            "frame_bytes": done.frame_bytes,
            "lag_ms": done.lag_ms,
            "max_lag_ms": done.max_lag_ms,
            "fan_out_ms": done.fan_out_ms,
            "gone": done.gone,
            "retried": done.retried,
            "dropped": done.dropped,
            "slow": " ".join(done.slow) or None,
            "refused": done.refused,
            "failed": " ".join(sorted(done.failed)) or None,
            "poisoned": poisoned,
        }
        counts = {
            "Frames": done.frames,
            "FrameBytes": done.frame_bytes,
            "DispatchLag": done.lag_ms or 0,
            "FanOut": done.fan_out_ms,
            "Gone": done.gone,
            "Retried": done.retried,
            "Dropped": done.dropped,
            "Poisoned": poisoned,
        }
        telemetry.log_batch(fields, meter, counts, is_cold=self._cold, code=code)
        self._cold = False


def create_handler(function: str, dispatch: Dispatch) -> Handler:
    """The handler that Lambda calls; ``function`` is the name of its folder. On Lambda all is built during INIT."""
    warm_up()
    return Handler(function, dispatch, bootstrap.services, bootstrap.sender)


def _records(event: Any) -> Sequence[Any]:  # noqa: ANN401 - any payload
    found = event.get("Records") if isinstance(event, Mapping) else None
    return found if isinstance(found, list) else []


def _read(records: Sequence[Any]) -> list[list[News]]:
    """The news of each record before the first one that cannot be understood."""
    found: list[list[News]] = []
    with suppress(ValueError):
        for each in records:
            found.append(news_of(each))  # noqa: PERF401 - what is found before an error counts
    return found


def _failed_at(read: Sequence[Sequence[News]], failed: frozenset[str]) -> int:
    """The place of the first record that is to be repeated: of a channel that failed, or the one after those read."""
    return next(
        (place for place, news in enumerate(read) if any(channel_of(each) in failed for each in news)),
        len(read),
    )


def _number(record: Any) -> str:  # noqa: ANN401 - any payload
    """A record's sequence number; empty if it has none, which makes Lambda repeat the whole batch."""
    try:
        return str(record["dynamodb"]["SequenceNumber"])
    except (KeyError, TypeError):
        return ""
