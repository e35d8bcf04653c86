"""A load test over the local gateway: ours, the usual way and constant answers by turns: ``python -m bench.load``."""
