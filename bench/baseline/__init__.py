"""What Budgie is compared with: floors, the usual way, other people's caches, the bare calls of DynamoDB."""
