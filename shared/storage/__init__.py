"""The storage: a few small interfaces over one table, implemented on DynamoDB and in memory."""
