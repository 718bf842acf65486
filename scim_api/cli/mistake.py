"""What was typed and can't be done."""


class ConnectionMistake(Exception):
    """The command can't be done; the message says what to do instead."""
