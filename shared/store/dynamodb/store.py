"""The storage as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from shared.store.dynamodb.channels import DynamoDBChannels
from shared.store.dynamodb.erasures import DynamoDBErasures
from shared.store.dynamodb.log import DynamoDBLog
from shared.store.dynamodb.members import DynamoDBMembers
from shared.store.dynamodb.table import Heard, Table, unheard


class DynamoDBStore(DynamoDBLog, DynamoDBChannels, DynamoDBMembers, DynamoDBErasures):
    """``shared.store.interface.Store`` on one table.

    Args:
        client: made by ``dynamodb_client``, or any of botocore's.
        table_name: the table of ``template.yaml``.
        sleep: waits for a number of seconds.
        heard: see ``Table``.
    """

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - botocore's clients are made at run time
        table_name: str,
        sleep: Callable[[float], None] = time.sleep,
        heard: Heard = unheard,
    ) -> None:
        self._table = Table(client, table_name, sleep, heard)
        self._sleep = sleep
