"""A chat with given numbers of channels, messages and users, stored in Budgie's table and in the baseline's."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Final

import boto3

from bench.baseline import usual_table
from bench.lib.conversations import bodies, channel_items, turns
from bench.lib.dynamodb import client_of, put_all
from local.demo.conversations import Turn
from local.dynamodb import engine as dynamodb

PAGE: Final = 50
BASELINE_TABLE: Final = "baseline"


@dataclass(frozen=True, slots=True)
class Chat:
    """The size of the chat; ``messages`` is per channel, and every user is a member of every channel."""

    channels: int = 20
    messages: int = 125
    users: int = 64

    def channel_ids(self) -> list[str]:
        """Ids of the channels; the first is the one that is read most."""
        return [f"{number:016d}" for number in range(self.channels)]

    def user_ids(self) -> list[str]:
        """Ids of the members."""
        return [f"user-{number}" for number in range(self.users)]

    def turns(self, number: int) -> list[Turn]:
        """The messages of a channel."""
        return list(islice(turns(), number * self.messages, (number + 1) * self.messages))

    def fill(self, url: str, table: str = "budgie") -> None:
        """Stores the chat in both tables of an engine: ours, which exists, and the baseline's, which it creates."""
        access_key, secret_key = dynamodb.CREDENTIALS.values()
        session = boto3.Session(access_key, secret_key, region_name=dynamodb.REGION)
        resource = session.resource("dynamodb", endpoint_url=url)
        with closing(resource.meta.client), closing(client_of(url)) as client:
            theirs = usual_table.create(resource, BASELINE_TABLE)
            for number, channel_id in enumerate(self.channel_ids()):
                texts = self.turns(number)
                usual_table.add_channel(theirs, channel_id, self.user_ids(), texts)
                ours = bodies(len(texts), taken=iter(texts), channel_id=channel_id)
                put_all(client, channel_items(channel_id, self.user_ids(), ours), table)
