"""The values and rules of the chat: no I/O; imports no other package of ours."""
