"""The sinks of a run: a recording, lines on standard output, sockets."""
