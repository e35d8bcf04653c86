"""The whole storage on DynamoDB."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.storage.dynamodb.changes import DynamoDBChanges
from shared.storage.dynamodb.channels import DynamoDBChannels
from shared.storage.dynamodb.erasures import DynamoDBErasures
from shared.storage.dynamodb.log import DynamoDBLog
from shared.storage.dynamodb.members import DynamoDBMembers
from shared.storage.dynamodb.moderation import DynamoDBModeration
from shared.storage.dynamodb.realtime import DynamoDBRealtime
from shared.storage.dynamodb.table import OnServerDate, Table, ignore_server_date
from shared.storage.dynamodb.threads import DynamoDBThreads

if TYPE_CHECKING:
    from shared.aws.protocol import AwsClient


class DynamoDBStore(
    DynamoDBLog,
    DynamoDBChanges,
    DynamoDBThreads,
    DynamoDBChannels,
    DynamoDBMembers,
    DynamoDBModeration,
    DynamoDBErasures,
    DynamoDBRealtime,
):
    """Implements ``shared.storage.protocol.Store`` on one table.

    Args:
        client: the client of DynamoDB.
        table_name: the table of ``template.yaml``.
        sleep: waits for a number of seconds.
        on_server_date: see ``Table``.
    """

    def __init__(
        self,
        client: AwsClient,
        table_name: str,
        sleep: Callable[[float], None] = time.sleep,
        on_server_date: OnServerDate = ignore_server_date,
    ) -> None:
        super().__init__(Table(client, table_name, sleep, on_server_date), sleep)
