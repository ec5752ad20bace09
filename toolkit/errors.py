"""The one exception that a user sees as a sentence rather than a traceback."""


class PosecError(ValueError):
    """A request that cannot be met; the message says what was asked, what there is, and what to do."""
