"""Clients for AWS's JSON protocol: six operations of DynamoDB, and one of Systems Manager."""
