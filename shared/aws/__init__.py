"""AWS's own protocol, as far as Budgie speaks it: DynamoDB's six operations, and one of Systems Manager."""
