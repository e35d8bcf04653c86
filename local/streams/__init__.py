"""What Lambda's event source mapping does: reads the table's stream and invokes a function with its records.

`event_source` reads a mapping's settings from the template, `patterns` its filters; `reader` reads the engine's stream;
`batches` invokes, repeats, splits and discards; `mapping` puts them together in a thread.
"""
