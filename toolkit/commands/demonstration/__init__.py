"""The files that `posec demo` reads and writes, and its folder."""
