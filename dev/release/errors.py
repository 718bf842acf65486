"""What ends a release before anything was made, or on the way."""


class ReleaseError(Exception):
    """A release can't be made; the message says what is wrong, where, and what to do."""
