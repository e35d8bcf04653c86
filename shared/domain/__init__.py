"""The words of the chat as values and rules: no I/O, and nothing of ours is imported but this."""
