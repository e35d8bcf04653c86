"""A chat of so many channels, messages and people: the same words in Budgie's table and in that of the usual way."""

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
USUAL_TABLE: Final = "usual"


@dataclass(frozen=True, slots=True)
class Chat:
    """How much there is. Everybody is a member of every channel."""

    channels: int = 20
    messages: int = 125
    users: int = 64

    def channel_ids(self) -> list[str]:
        """Ids of the channels, the one that is asked for most first."""
        return [f"{number:016d}" for number in range(self.channels)]

    def user_ids(self) -> list[str]:
        """Ids of the members."""
        return [f"user-{number}" for number in range(self.users)]

    def turns(self, number: int) -> list[Turn]:
        """What was said in a channel."""
        return list(islice(turns(), number * self.messages, (number + 1) * self.messages))

    def fill(self, url: str, table: str = "budgie") -> None:
        """Stores it in both tables of an engine; ours is there already, the other one is made."""
        access_key, secret_key = dynamodb.CREDENTIALS.values()
        session = boto3.Session(access_key, secret_key, region_name=dynamodb.REGION)
        resource = session.resource("dynamodb", endpoint_url=url)
        with closing(resource.meta.client), closing(client_of(url)) as client:
            theirs = usual_table.create(resource, USUAL_TABLE)
            for number, channel_id in enumerate(self.channel_ids()):
                said = self.turns(number)
                usual_table.add_channel(theirs, channel_id, self.user_ids(), said)
                ours = bodies(len(said), taken=iter(said), channel_id=channel_id)
                put_all(client, channel_items(channel_id, self.user_ids(), ours), table)
