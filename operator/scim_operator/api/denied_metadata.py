"""Labels and annotations that no Secret gets, because who runs the operator has denied them.

The operator writes a Secret with its own rights. Some tools act on a Secret's metadata with theirs, such as those
that copy it to other namespaces, and would do so for whoever may write a ScimToken.
"""

from collections.abc import Collection


def is_denied(key: str, domains: Collection[str]) -> bool:
    """Whether a label's or annotation's key is one of these, or begins with one of these domains or one below it.

    So ``example.com`` denies ``example.com/a`` and ``tool.example.com/b``, but not ``anexample.com/c``.
    """
    domain = key.partition("/")[0]
    return any(domain == one or domain.endswith(f".{one}") for one in domains)
