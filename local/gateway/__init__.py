"""The local API Gateway: HTTP on 127.0.0.1, turned into the events that functions get."""
