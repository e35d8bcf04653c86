"""The DynamoDB engines of the local stack, and fault injection for tests."""
