"""What each route does, one file each: no HTTP, no DynamoDB."""
