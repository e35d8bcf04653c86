"""A table's stream in memory, by the API of DynamoDB Streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from local.streams.batches import Record
from local.streams.reader import StreamError

NOW: Final = 1_795_459_464


def record(number: int, *, created: float = NOW, **more: Any) -> Record:
    """A record of the stream, without the stream's name."""
    keys = {"pk": {"S": "C#1"}, "sk": {"S": f"E#{number:012}"}}
    return {
        "eventID": str(number),
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": created,
            "Keys": keys,
            "NewImage": keys,
            "SequenceNumber": str(number),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        **more,
    }


@dataclass
class _Shard:
    parent: str = ""
    records: list[Record] = field(default_factory=list)
    has_ended: bool = False


class FakeStream:
    """See this module. `page` is the most records that a call gives."""

    def __init__(self, page: int = 1000) -> None:
        self.shards = {"shard-0": _Shard()}
        self.is_up = True
        self.label = "1"
        self._page = page
        self.first = 1
        """The number of the first record since the last restart."""
        self.written = 0
        """The number of the last record."""
        self._epoch = 0

    def write(self, count: int = 1, *, created: float = NOW) -> None:
        """Adds records to the open shard; the numbers go on from the last one."""
        open_shard = list(self.shards.values())[-1]
        for _ in range(count):
            self.written += 1
            open_shard.records.append(record(self.written, created=created))

    def split(self) -> None:
        """Closes the open shard and opens its child."""
        *_, (last, shard) = self.shards.items()
        shard.has_ended = True
        self.shards[f"shard-{len(self.shards)}"] = _Shard(parent=last)

    def expire_iterators(self) -> None:
        """Those that were given so far."""
        self._epoch += 1

    def crash(self) -> None:
        """Answers no call until `is_up` is set."""
        self.is_up = False

    def restart_as_ministack(self) -> None:
        """Repeats its journal: all records again, under other numbers and in another stream."""
        count = sum(len(shard.records) for shard in self.shards.values())
        self.shards = {"shard-0": _Shard()}
        self.label = str(int(self.label) + 1)
        self.first = self.written + 1
        self.write(count)

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """See `StreamApi`."""
        if not self.is_up:
            raise StreamError("ConnectionRefusedError")
        if operation == "ListStreams":
            return {"Streams": [{"StreamArn": f"arn/{self.label}", "StreamLabel": self.label}]}
        if operation != "GetRecords" and arguments["StreamArn"] != f"arn/{self.label}":
            raise StreamError("ResourceNotFoundException")
        answer: dict[str, Any] = getattr(self, f"_{operation}")(arguments)
        return answer

    def _DescribeStream(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802  # AWS's name
        """One shard a page, as the API may."""
        names = list(self.shards)
        start = arguments.get("ExclusiveStartShardId")
        name = names[names.index(start) + 1 if start else 0]
        shard = self.shards[name]
        numbers = {"StartingSequenceNumber": "1"} | ({"EndingSequenceNumber": "9"} if shard.has_ended else {})
        shown = {"ShardId": name, "SequenceNumberRange": numbers}
        found: dict[str, Any] = {
            "Shards": [shown | ({"ParentShardId": shard.parent} if shard.parent else {})]
        }
        return {"StreamDescription": found | ({"LastEvaluatedShardId": name} if name != names[-1] else {})}

    def _GetShardIterator(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802  # as above
        name, kind = arguments["ShardId"], arguments["ShardIteratorType"]
        numbers = [each["dynamodb"]["SequenceNumber"] for each in self.shards[name].records]
        if kind == "AFTER_SEQUENCE_NUMBER":
            if arguments["SequenceNumber"] not in numbers:
                raise StreamError("TrimmedDataAccessException")
            start = numbers.index(arguments["SequenceNumber"]) + 1
        else:
            start = {"TRIM_HORIZON": 0, "LATEST": len(numbers)}[kind]
        return {"ShardIterator": f"{name}/{start}/{self._epoch}"}

    def _GetRecords(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802  # as above
        name, start, epoch = arguments["ShardIterator"].split("/")
        if int(epoch) != self._epoch:
            raise StreamError("ExpiredIteratorException")
        shard = self.shards[name]
        end = min(int(start) + self._page, len(shard.records))
        found = {"Records": shard.records[int(start) : end]}
        if shard.has_ended and end == len(shard.records):
            return found
        return found | {"NextShardIterator": f"{name}/{end}/{epoch}"}
