"""Takes secrets and people out of texts before they are written, and says what is left that should not be. Pure.

First all texts are looked through for people and for the values of Secrets; then each text is cleaned with all that was
found, so that a name is taken out of every file when one of them says that it is a name.
"""

import dataclasses
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final
from urllib.parse import unquote

from kubectl_scim.bundle import patterns
from kubectl_scim.bundle.spelling import needles, spellings

SHORTEST_NAME: Final = 3
"""Characters of a person's name that is searched for; a shorter one is taken out only where it is said to be one."""
_PERSON: Final = 0xF0000
_MARK: Final = 0x100000
"""While a text is worked on, pseudonyms are characters of private use: no pattern takes them for something else."""
_PRIVATE: Final = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")
_REDACTED: Final = re.compile(r"person-\d+@redacted|\[redacted: [^\]\n]*\]")
_VALUE: Final = "value of a Secret"


@dataclasses.dataclass(frozen=True, slots=True)
class Suspicion:
    """Something in a cleaned text that may be a secret or a person."""

    file: str
    line: int
    """From 1."""
    what: str


class Redactor:
    """Cleans texts.

    Args:
        values: of Secrets, decoded; nothing of them comes out.
    """

    def __init__(self, values: Collection[bytes]) -> None:
        found = {needle for value in values for needle in needles(value)}
        self._needles = sorted(found, key=lambda one: (-len(one.text), one.text, one.is_literal))
        self._people: dict[str, int] = {}
        self._names: set[str] = set()
        self._marks: list[str] = []
        self._replaced = 0

    @property
    def people(self) -> int:
        """How many were taken out."""
        return len(self._people)

    @property
    def secrets(self) -> int:
        """How many places held something secret."""
        return self._replaced

    def cleaned(self, files: Mapping[str, str]) -> Mapping[str, str]:
        """All of them, in their order, each without what is secret and personal."""
        texts = {name: _PRIVATE.sub("?", text) for name, text in files.items()}
        for text in texts.values():
            self._note_names(text)
        prepared = {name: self._marked(text) for name, text in texts.items()}
        known = self._known()
        return {name: self._spelled(self._without_names(known, text)) for name, text in prepared.items()}

    def suspicions(self, files: Mapping[str, str]) -> Iterator[Suspicion]:
        """What is left in cleaned texts; nothing, unless something escaped the patterns."""
        for file, text in files.items():
            rest = _REDACTED.sub("", text)
            for at, what in sorted(set(self._suspicious(rest))):
                yield Suspicion(file, rest.count("\n", 0, at) + 1, what)

    def _suspicious(self, text: str) -> Iterator[tuple[int, str]]:
        """Where something begins, and what it is."""
        for needle in self._needles:
            found = needle.search(text)
            if found is not None:
                yield found.start(), _VALUE
        for what, pattern in patterns.SECRETS:
            yield from ((found.start(), what) for found in pattern.finditer(text))
        at = 0
        for line in text.split("\n"):
            if _has(line, patterns.EMAIL_STEMS) and patterns.EMAIL.search(line):
                yield at, "e-mail address"
            at += len(line) + 1
        if self._names:
            known = self._known()
            yield from ((found.start(), "name of a person") for found in known.finditer(text))
        for found in patterns.RANDOM.finditer(text):
            if patterns.is_random(found[0]):
                yield found.start(), "long random text, such as a secret"

    def _known(self) -> re.Pattern[str]:
        """Matches the names that were found."""
        by_length = sorted(self._names, key=lambda one: (-len(one), one))
        return re.compile("|".join(_name_pattern(one) for one in by_length) or "(?!)", re.IGNORECASE)

    def _note_names(self, text: str) -> None:
        """Keeps names in mind, before a secret is taken out that is spelled as what says that they are names."""
        for line in text.split("\n"):
            if _has(line, patterns.NAME_STEMS):
                for pattern in patterns.NAMES:
                    for found in pattern.finditer(line):
                        self._note(_plain(found["value"]))

    def _note(self, name: str) -> None:
        if len(name) >= SHORTEST_NAME:
            self._names.add(name)

    def _marked(self, text: str) -> str:
        """Without secrets and addresses, nor names where they are said to be names."""
        for needle in self._needles:
            text, count = needle.replaced(text, self._mark(_VALUE))
            self._replaced += count
        for what, pattern in patterns.SECRETS:
            text, count = pattern.subn(self._mark(what), text)
            self._replaced += count
        text = _by_line(text, patterns.EMAIL_STEMS, self._without_addresses)
        return _by_line(text, patterns.NAME_STEMS, self._without_named)

    def _without_addresses(self, line: str) -> str:
        return patterns.EMAIL.sub(lambda found: self._person(found[0]), line)

    def _without_named(self, line: str) -> str:
        for pattern in patterns.NAMES:
            line = pattern.sub(self._named, line)
        return line

    def _named(self, found: re.Match[str]) -> str:
        value = found["value"]
        if not value or all(_PRIVATE.match(one) for one in value):
            return found[0]
        person = self._person(value)
        self._note(_plain(value))
        begin, end = found.start("value") - found.start(), found.end("value") - found.start()
        return found[0][:begin] + person + found[0][end:]

    def _without_names(self, known: re.Pattern[str], text: str) -> str:
        return known.sub(lambda found: self._person(found[0]), text)

    def _person(self, value: str) -> str:
        number = self._people.setdefault(_plain(value).casefold(), len(self._people) + 1)
        return chr(_PERSON + number)

    def _mark(self, what: str) -> str:
        if what not in self._marks:
            self._marks.append(what)
        return chr(_MARK + self._marks.index(what))

    def _spelled(self, text: str) -> str:
        """With pseudonyms that people read."""
        return _PRIVATE.sub(self._spell, text)

    def _spell(self, found: re.Match[str]) -> str:
        code = ord(found[0])
        return (
            f"[redacted: {self._marks[code - _MARK]}]"
            if code >= _MARK
            else f"person-{code - _PERSON}@redacted"
        )


def _by_line(text: str, stems: Collection[str], work: Callable[[str], str]) -> str:
    """A text whose lines with one of the stems went through ``work``."""
    return "\n".join(work(line) if _has(line, stems) else line for line in text.split("\n"))


def _has(line: str, stems: Collection[str]) -> bool:
    folded = line.lower()
    return any(stem in folded for stem in stems)


def _name_pattern(name: str) -> str:
    """Where a name stands that was said to be one elsewhere, but not as a key."""
    return rf"(?:(?<!\w)|{patterns.BEHIND_CODED}){spellings(name)}(?!\w)(?!\\*\"\s*:)"


def _plain(value: str) -> str:
    """Without escapes, so that each spelling of a person is the same person."""
    text = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), value)
    return unquote(text.replace("\\", "").strip("\"'"))
