"""Push in the simulation: a stream, a dispatcher, connections that lose, double, delay and reorder, and watchers."""
