"""Labels and annotations that no Secret gets, because who runs the operator has denied them.

The operator writes a Secret with its own rights. Some tools act on a Secret's metadata with theirs, such as those
that copy it to other namespaces, and would do so for whoever may write a ScimToken.
"""

from collections.abc import Collection, Mapping
from typing import Any, Protocol, Self, TypeVar


def is_denied(key: str, domains: Collection[str]) -> bool:
    """Whether a label's or annotation's key is one of these, or begins with one of these domains or one below it.

    So ``example.com`` denies ``example.com/a`` and ``tool.example.com/b``, but not ``anexample.com/c``.
    """
    domain = key.partition("/")[0]
    return any(domain == one or domain.endswith(f".{one}") for one in domains)


class SecretMetadata(Protocol):
    """What a spec wants on its Secret."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels."""

    @property
    def annotations(self) -> Mapping[str, str]:
        """Annotations."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """The same with other fields."""


T = TypeVar("T", bound=SecretMetadata)


def without_denied(wanted: T, domains: Collection[str]) -> tuple[T, tuple[str, ...]]:
    """What of it is allowed, and the keys that are not, in order.

    Args:
        wanted: labels and annotations.
        domains: see ``is_denied``.
    """
    denied = {key for key in (*wanted.labels, *wanted.annotations) if is_denied(key, domains)}
    if not denied:
        return wanted, ()
    allowed = {
        name: {key: value for key, value in getattr(wanted, name).items() if key not in denied}
        for name in ("labels", "annotations")
    }
    return wanted.model_copy(update=allowed), tuple(sorted(denied))
