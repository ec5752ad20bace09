"""An emulated board: an arm64 Debian under QEMU, and a count of the instructions of its programs."""
