"""The storage on DynamoDB: one table, Query and never Scan, every call's units counted."""

from shared.storage.dynamodb.store import DynamoDBStore

__all__ = ["DynamoDBStore"]
