"""Reads the stream of a table in a local DynamoDB engine: its shards, in order, from a position on.

The engines serve the Streams API on their own port (on AWS it has another host). Measured on 2 busy cores: a record is
readable as soon as its write is acknowledged, in both engines; an empty poll costs the engine 2 to 3 ms of CPU, and us
0.5 ms by this client.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Final, Protocol

from local.dynamodb.engine import CREDENTIALS, REGION
from local.streams.batches import Record, created_at, sequence_number
from local.streams.event_source import LATEST, TRIM_HORIZON
from shared.runtime.http_pool import Connections

_TIMEOUTS: Final = (2.0, 20.0)  # seconds for connecting, and for each wait for the engine
_PAGE: Final = 1000  # records, the most that GetRecords returns
_ROUNDED_BY: Final = 60.0  # DynamoDB Local rounds the time of a record down to the minute, AWS to the second


class StreamError(Exception):
    """A call failed; its text is AWS's code, or the name of the exception if there was no answer."""


class StreamApi(Protocol):
    """The operations of DynamoDB Streams."""

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call an operation such as `GetRecords`; JSON in, JSON out.

        Raises:
            StreamError: it failed.
        """
        ...


class EngineStreams:
    """DynamoDB Streams in a local engine, which checks no signature; boto3 would take 2 ms of CPU a poll.

    Args:
        url: the engine's address.
        environ: credentials and region in AWS's variables; ministack separates accounts and regions by them.
    """

    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        self._connections = Connections(url, *_TIMEOUTS)
        key = environ.get("AWS_ACCESS_KEY_ID") or CREDENTIALS["AWS_ACCESS_KEY_ID"]
        scope = f"20260101/{environ.get('AWS_REGION') or REGION}/dynamodb/aws4_request"
        self._headers = {
            "host": self._connections.host,
            "content-type": "application/x-amz-json-1.0",
            "x-amz-date": "20260101T000000Z",
            "authorization": f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders=host, Signature=none",
        }

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """See `StreamApi`."""
        headers = {**self._headers, "x-amz-target": f"DynamoDBStreams_20120810.{operation}"}
        body = json.dumps(arguments).encode()
        try:
            response, raw = self._connections.request("POST", "/", headers, body)
            found: dict[str, Any] = json.loads(raw)
        except (OSError, HTTPException, ValueError) as error:
            raise StreamError(type(error.__cause__ or error).__name__) from error
        if response.status != HTTPStatus.OK:
            raise StreamError(str(found.get("__type", response.status)).rpartition("#")[2])
        return found

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()


@dataclass
class _Shard:
    parent: str
    iterator: str = ""
    """Empty: it is to be opened after `last`."""
    last: str = ""
    """The sequence number of the last record that was read."""
    has_ended: bool = False
    is_from_latest: bool = False
    """Its reading began at its end at that time."""
    skips_before: float = 0
    """Seconds since 1970: older records precede the position at which reading began."""


class Reader:
    """Reads a table's stream: each shard from its position on, after its parent.

    Args:
        streams: the engine.
        table: the table's name.
        position: where to begin, `LATEST` or `TRIM_HORIZON`; shards that come later are read from their beginning.
        incarnation: changes when the engine is restarted. Iterators of an earlier one may be at a wrong position in
            ministack, which forgets its stream: repeating its journal, it writes each record again, under another
            sequence number. So after a restart records may come again, and none is passed over.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        streams: StreamApi,
        table: str,
        position: str,
        *,
        incarnation: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._streams = streams
        self._table = table
        self._position = position
        self._incarnation = incarnation
        self._clock = clock
        self._arn = ""
        self._shards: dict[str, _Shard] = {}
        self._opened_in: object = None
        self._began = 0.0

    def open(self) -> None:
        """Take the position: what is written from now on is read.

        Raises:
            StreamError: the stream cannot be read, or there is none.
        """
        self._opened_in = self._incarnation()
        self._began = self._clock()
        self._arn = self._latest_arn()
        for shard_id, description in self._described():
            shard = self._shards[shard_id] = _Shard(description.get("ParentShardId", ""))
            if self._position == LATEST:
                shard.has_ended = "EndingSequenceNumber" in description["SequenceNumberRange"]
                shard.is_from_latest = True
                if not shard.has_ended:
                    shard.iterator = self._iterator(shard_id, LATEST)

    def pages(self) -> Iterator[tuple[str, list[Record]]]:
        """One page, which may be empty, of each shard that can be read now, with the shard's id.

        Raises:
            StreamError: the stream cannot be read now; try again.
        """
        if self._incarnation() != self._opened_in:
            self._reopen()
        for shard_id, shard in list(self._shards.items()):
            if not shard.has_ended and not self._is_unread(shard.parent):
                try:
                    records = self._next_page(shard_id, shard)
                except StreamError:
                    # An engine that is gone, an iterator that has expired, a stream that was replaced.
                    self._opened_in = object()
                    raise
                if records is None:
                    return
                yield shard_id, records

    def _reopen(self) -> None:
        incarnation = self._incarnation()
        arn = self._latest_arn()
        if arn != self._arn:
            self._arn, self._shards = arn, {}
        for shard in self._shards.values():
            shard.iterator = ""
            if shard.is_from_latest and not shard.last:
                # Its position is not known any more, only the time.
                shard.skips_before = self._began - _ROUNDED_BY
        self._discover()
        self._opened_in = incarnation

    def _discover(self) -> None:
        """Add new shards, and drop those that have expired."""
        described = dict(self._described())
        self._shards = {
            shard_id: self._shards.get(shard_id) or _Shard(description.get("ParentShardId", ""))
            for shard_id, description in described.items()
        }

    def _is_unread(self, shard_id: str) -> bool:
        shard = self._shards.get(shard_id)
        return shard is not None and not shard.has_ended

    def _next_page(self, shard_id: str, shard: _Shard) -> list[Record] | None:
        """The next records; None if the engine was restarted meanwhile."""
        iterator = shard.iterator or self._reopened(shard_id, shard)
        page = self._streams.call("GetRecords", {"ShardIterator": iterator, "Limit": _PAGE})
        if self._incarnation() != self._opened_in:
            return None
        records = [self._as_lambda_gives(each) for each in page["Records"]]
        shard.iterator = page.get("NextShardIterator") or ""
        if not shard.iterator:
            shard.has_ended = True
            self._discover()
        if records:
            shard.last = sequence_number(records[-1])
        return [each for each in records if created_at(each) >= shard.skips_before]

    def _reopened(self, shard_id: str, shard: _Shard) -> str:
        if shard.last:
            try:
                return self._iterator(shard_id, "AFTER_SEQUENCE_NUMBER", SequenceNumber=shard.last)
            except StreamError as error:
                if str(error) not in {"TrimmedDataAccessException", "ValidationException"}:
                    raise
        return self._iterator(shard_id, TRIM_HORIZON)

    def _iterator(self, shard_id: str, kind: str, **more: str) -> str:
        arguments = {"StreamArn": self._arn, "ShardId": shard_id, "ShardIteratorType": kind, **more}
        return str(self._streams.call("GetShardIterator", arguments)["ShardIterator"])

    def _latest_arn(self) -> str:
        """The table's stream; one that was disabled is readable for a day beside it."""
        found = self._streams.call("ListStreams", {"TableName": self._table})["Streams"]
        if not found:
            raise StreamError("NoStream")
        return str(max(found, key=lambda stream: stream["StreamLabel"])["StreamArn"])

    def _described(self) -> Iterator[tuple[str, dict[str, Any]]]:
        start: dict[str, str] = {}
        while True:
            found = self._streams.call("DescribeStream", {"StreamArn": self._arn, **start})[
                "StreamDescription"
            ]
            yield from ((shard["ShardId"], shard) for shard in found["Shards"])
            if not (last := found.get("LastEvaluatedShardId")):
                return
            start = {"ExclusiveStartShardId": last}

    def _as_lambda_gives(self, record: Record) -> Record:
        """The record with its stream, which only Lambda's records name."""
        if record["awsRegion"] == "ddblocal":
            latest = min(self._clock(), created_at(record) + _ROUNDED_BY)
            record["dynamodb"]["ApproximateCreationDateTime"] = int(latest)
        return {**record, "eventSourceARN": self._arn}
