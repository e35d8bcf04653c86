"""The baseline: three endpoints of a chat as the tutorials of these packages write them, ordinary and competent.

FastAPI with plain functions and response models under Mangum, boto3's resource, Powertools' decorators, upstash-redis,
all created at import. Pages are cached with a time to live and deleted by a post. It is deployed alone, so it imports
nothing of this project.

Variables: ``TABLE_NAME``, ``UPSTASH_REDIS_REST_URL``, ``UPSTASH_REDIS_REST_TOKEN``; boto3's
``AWS_ENDPOINT_URL_DYNAMODB`` for a local engine; Powertools' ``POWERTOOLS_TRACE_DISABLED`` without an X-Ray daemon.
"""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from boto3.dynamodb.conditions import Key
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from mangum import Mangum
from pydantic import BaseModel, Field
from upstash_redis import Redis

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

CHANNELS_TTL = 300
MESSAGES_TTL = 120
PAGE = 50

logger = Logger(service="chat")
metrics = Metrics(namespace="Chat", service="chat")
tracer = Tracer(service="chat")

TABLE_NAME = os.environ["TABLE_NAME"]
dynamodb = boto3.resource("dynamodb")
table = dynamodb.Table(TABLE_NAME)
redis = Redis.from_env()
app = FastAPI(title="Chat")


class MessageIn(BaseModel):
    """A message to post."""

    text: str = Field(min_length=1, max_length=4000)


class Message(BaseModel):
    """A message."""

    id: str
    channel_id: str
    sender: str
    text: str
    created_at: str


class MessagePage(BaseModel):
    """Messages in ascending order."""

    channel_id: str
    messages: list[Message]
    next_before: str | None = None


class Channel(BaseModel):
    """A channel."""

    id: str
    name: str
    topic: str
    created_at: str
    last_message: Message | None = None


class ChannelList(BaseModel):
    """The caller's channels."""

    channels: list[Channel]


def current_user(request: Request) -> str:
    """The caller's id from the authorizer."""
    claims = request.scope["aws.event"]["requestContext"]["authorizer"]["jwt"]["claims"]
    return str(claims["sub"])


User = Annotated[str, Depends(current_user)]


def require_member(channel_id: str, user: str) -> None:
    """Refuse callers who are not members."""
    found = table.get_item(Key={"pk": f"USER#{user}", "sk": f"CHANNEL#{channel_id}"})
    if "Item" not in found:
        raise HTTPException(status_code=404, detail="Channel not found")


def count_cached(*, hit: bool) -> None:
    """Count a cache hit or miss."""
    metrics.add_metric(name="CacheHit" if hit else "CacheMiss", unit=MetricUnit.Count, value=1)


@app.get("/v1/channels")
def list_channels(user: User) -> ChannelList:
    """The caller's channels."""
    key = f"channels:{user}"
    cached = redis.get(key)
    count_cached(hit=cached is not None)
    if cached is not None:
        return ChannelList.model_validate_json(cached)
    channels = read_channels(user)
    redis.set(key, channels.model_dump_json(), ex=CHANNELS_TTL)
    return channels


def read_channels(user: str) -> ChannelList:
    """Read the user's memberships, then their channels."""
    memberships = table.query(
        KeyConditionExpression=Key("pk").eq(f"USER#{user}") & Key("sk").begins_with("CHANNEL#")
    )["Items"]
    keys = [{"pk": each["sk"], "sk": "META"} for each in memberships]
    items: list[dict[str, Any]] = []
    for start in range(0, len(keys), 100):
        request: Any = {TABLE_NAME: {"Keys": keys[start : start + 100]}}
        while request:
            found = dynamodb.batch_get_item(RequestItems=request)
            items += found["Responses"][TABLE_NAME]
            request = found.get("UnprocessedKeys")
    return ChannelList(channels=[Channel.model_validate(each) for each in items])


@app.get("/v1/channels/{channel_id}/messages")
def fetch_messages(
    channel_id: str, user: User, limit: Annotated[int, Query(ge=1, le=100)] = PAGE, before: str | None = None
) -> MessagePage:
    """A page of messages, by default the latest."""
    require_member(channel_id, user)
    if before is not None or limit != PAGE:
        return read_page(channel_id, limit, before)
    key = f"messages:{channel_id}"
    cached = redis.get(key)
    count_cached(hit=cached is not None)
    if cached is not None:
        return MessagePage.model_validate_json(cached)
    page = read_page(channel_id, limit, before)
    redis.set(key, page.model_dump_json(), ex=MESSAGES_TTL)
    return page


def read_page(channel_id: str, limit: int, before: str | None) -> MessagePage:
    """Read messages, newest first, and reverse them."""
    pk = f"CHANNEL#{channel_id}"
    arguments: dict[str, Any] = {}
    if before is not None:
        arguments["ExclusiveStartKey"] = {"pk": pk, "sk": f"MSG#{before}"}
    found = table.query(
        KeyConditionExpression=Key("pk").eq(pk) & Key("sk").begins_with("MSG#"),
        ScanIndexForward=False,
        Limit=limit,
        **arguments,
    )
    messages = [Message.model_validate(each) for each in reversed(found["Items"])]
    more = messages[0].id if "LastEvaluatedKey" in found and messages else None
    return MessagePage(channel_id=channel_id, messages=messages, next_before=more)


@app.post("/v1/channels/{channel_id}/messages", status_code=201)
def post_message(channel_id: str, body: MessageIn, user: User) -> Message:
    """Post a message."""
    require_member(channel_id, user)
    created_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    message = Message(
        id=f"{created_at}-{uuid.uuid4()}",
        channel_id=channel_id,
        sender=user,
        text=body.text,
        created_at=created_at,
    )
    item = message.model_dump()
    table.put_item(Item={"pk": f"CHANNEL#{channel_id}", "sk": f"MSG#{message.id}", **item})
    table.update_item(
        Key={"pk": f"CHANNEL#{channel_id}", "sk": "META"},
        UpdateExpression="SET last_message = :message",
        ExpressionAttributeValues={":message": item},
    )
    redis.delete(f"messages:{channel_id}", f"channels:{user}")
    metrics.add_metric(name="MessagePosted", unit=MetricUnit.Count, value=1)
    return message


mangum = Mangum(app, lifespan="off")


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The Lambda handler."""
    metrics.add_metric(name="Requests", unit=MetricUnit.Count, value=1)
    response = mangum(event, context)  # type: ignore[arg-type]  # Mangum and Powertools describe one context twice
    logger.info("Request", route=event["routeKey"], status=response["statusCode"])
    return response
