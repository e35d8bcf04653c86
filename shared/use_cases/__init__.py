"""What each route does, one file a route. Nothing here knows HTTP or DynamoDB."""
