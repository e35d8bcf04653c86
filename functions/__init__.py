"""One folder a Lambda function; each its own routes only."""
