"""The spellings that a text may have when it stands in another: raw, in JSON (in JSON), in a URL, in base64, in hex. Pure."""

import base64
import dataclasses
import functools
import re
from collections.abc import Iterator
from typing import Final

SHORTEST: Final = 6
"""Characters of a value that is searched for: what is shorter is found everywhere."""
_LONGEST: Final = 512
"""Of one pattern; what is longer is searched for in pieces, as it is."""
_PLAIN: Final = re.compile(r"[0-9A-Za-z_.~-]+")
"""Characters that no encoding changes."""
_CONTROLS: Final = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}


@dataclasses.dataclass(frozen=True)
class Needle:
    """A text to be found in each of its spellings."""

    text: str = dataclasses.field(repr=False)
    is_literal: bool = False
    """Only as it is."""

    @functools.cached_property
    def _anchor(self) -> str:
        """A part that each spelling has; it is quickly seen whether a text lacks that."""
        return self.text if self.is_literal else max(_PLAIN.findall(self.text), key=len, default="")

    @functools.cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.escape(self.text) if self.is_literal else spellings(self.text))

    def search(self, text: str) -> re.Match[str] | None:
        """Where it stands first."""
        return self._pattern.search(text) if self._anchor in text else None

    def replaced(self, text: str, by: str) -> tuple[str, int]:
        """A text without it, and how often it was there."""
        return self._pattern.subn(by, text) if self._anchor in text else (text, 0)


def needles(value: bytes) -> Iterator[Needle]:
    """What to search for so that a secret value is found whole, in its lines, or encoded.

    Args:
        value: of any length; nothing comes of one that is too short to be told from other text.
    """
    text = value.decode("utf-8", "replace")
    for part in dict.fromkeys((text, *(line.strip() for line in text.splitlines()))):
        if len(part) > _LONGEST:
            pieces = (part[at : at + _LONGEST] for at in range(0, len(part), _LONGEST))
            yield from (Needle(piece, is_literal=True) for piece in pieces if len(piece) >= SHORTEST)
        elif len(part) >= SHORTEST:
            yield Needle(part)
    if SHORTEST <= len(value) <= _LONGEST:
        yield Needle(value.hex(), is_literal=True)
        for shift in range(3):
            yield from _in_base64(value, shift)


def _in_base64(value: bytes, shift: int) -> Iterator[Needle]:
    """The part of the base64 of a longer text that only the value decides, when ``shift`` bytes go before it, modulo 3."""
    coded = base64.b64encode(b"\0" * shift + value).decode().rstrip("=")
    middle = coded[(0, 2, 3)[shift] : len(coded) - (1 if (shift + len(value)) % 3 else 0)]
    if len(middle) >= SHORTEST:
        yield Needle(middle, is_literal=True)
        if "+" in middle or "/" in middle:
            yield Needle(middle.replace("+", "-").replace("/", "_"), is_literal=True)
            yield Needle(middle)  # percent-encoded


def spellings(text: str) -> str:
    """A regular expression of a text: each character as it is, escaped as in JSON any number of times, or as in a URL."""
    return "".join(_character(one) for one in text)


def _character(one: str) -> str:
    if _PLAIN.fullmatch(one):
        return re.escape(one)
    units = one.encode("utf-16-be", "surrogatepass").hex()
    escaped = "".join(rf"\\+u{units[at : at + 4]}" for at in range(0, len(units), 4))
    coded = "".join(f"%(?:25)*{byte:02x}" for byte in one.encode("utf-8", "replace"))
    forms = [rf"\\*{re.escape(one)}" if one != "\\" else r"\\+", f"(?i:{escaped}|{coded})"]
    if one in _CONTROLS:
        forms.append(rf"\\+{_CONTROLS[one]}")
    if one == " ":
        forms.append(r"\+")
    return f"(?:{'|'.join(forms)})"
