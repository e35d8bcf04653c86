"""The DynamoDB engines of the local stack, and the faults that tests play on them."""
