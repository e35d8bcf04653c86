"""Reads `template.yaml`, so that the local stack serves what would be deployed."""
