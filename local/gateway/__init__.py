"""The local API Gateway: HTTP on 127.0.0.1, converted to the events that functions receive."""
