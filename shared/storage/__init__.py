"""The storage: three small interfaces over one table, on DynamoDB and in memory."""
