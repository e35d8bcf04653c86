"""Writers and an engine that are killed at random moments, and the audit afterwards."""
