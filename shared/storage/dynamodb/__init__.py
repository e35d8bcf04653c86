"""The storage on DynamoDB: one table, Query and never Scan; the units of every call are counted."""

from shared.storage.dynamodb.store import DynamoDBStore

__all__ = ["DynamoDBStore"]
