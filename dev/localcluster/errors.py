"""What the package raises."""


class ClusterError(Exception):
    """The cluster cannot do what was asked; the message says what failed, where, and what to look at."""


class Unavailable(ClusterError):
    """This machine cannot come to a Kubernetes in this way; the message says why in one line."""
