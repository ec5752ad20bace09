"""What the verbs share: arguments, checked inputs and outputs, and output on the terminal."""
