"""What the source said last, so that a page is painted before the source is asked again."""

import contextlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from scim_console.model import Denied, Missing, Source, Token, Unreachable

_NONE: Final[Mapping[tuple[str, str], Token]] = MappingProxyType({})


class Memory:
    """Asks, and keeps the answers. A page with what was remembered asks for what is new by itself.

    Args:
        source: asked.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._tokens: Mapping[tuple[str, str], Token] = _NONE
        self._is_known = False

    def warm(self) -> None:
        """Ask before anybody looks; why it fails is told to whoever does."""
        with contextlib.suppress(Denied, Missing, Unreachable):
            self.tokens()

    def tokens(self) -> Sequence[Token]:
        """All of them, as they are now."""
        found = self._source.tokens()
        # Mappings are replaced whole: requests are answered by several threads.
        self._tokens, self._is_known = {(one.namespace, one.name): one for one in found}, True
        return found

    def token(self, namespace: str, name: str) -> Token:
        """One of them, as it is now."""
        key = (namespace, name)
        try:
            found = self._source.token(namespace, name)
        except Missing:
            self._tokens = {one: token for one, token in self._tokens.items() if one != key}
            raise
        self._tokens = {**self._tokens, key: found}
        return found

    def last_tokens(self) -> Sequence[Token] | None:
        """All of them, as they were; None: nobody has asked yet."""
        return list(self._tokens.values()) if self._is_known else None

    def last_token(self, namespace: str, name: str) -> Token | None:
        """One of them, as it was; None: it is not remembered."""
        return self._tokens.get((namespace, name))
