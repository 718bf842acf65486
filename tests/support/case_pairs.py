"""Unicode's simple case pairs, from its own mappings and not from any folding: an oracle for comparison keys.

A pair is a letter and its lower, upper or title case where that is a single letter. Two letters that come to
one by such steps are equal without their case: small sigma, final sigma and capital sigma are, by the capital.
"""

from typing import Final

CODE_POINTS: Final = tuple(code for code in range(0x110000) if not 0xD800 <= code < 0xE000)
"""All that a string can hold and UTF-8 can carry."""

_DOTLESS_I: Final = "\u0131"
"""Its capital is I, whose small letter is i: CaseFolding.txt keeps it apart (status T, for Turkish alone), so
that "\u0131lker" and "ilker" are two people."""

CASE_PAIRS: Final = tuple(
    (letter, cased)
    for letter in map(chr, CODE_POINTS)
    if letter != _DOTLESS_I
    for cased in sorted({letter.lower(), letter.upper(), letter.title()} - {letter})
    if len(cased) == 1
)
"""Each letter with each of its other cases."""

LETTERS: Final = tuple(sorted({letter for pair in CASE_PAIRS for letter in pair} - {"\u0345"}))
"""Those that have another case; without the iota below, which belongs to the letter before it."""

BEFORE: Final = ("", "x", "X", "\u03a3", "\u03bf", "\u00e9", "1", ".", "\u05d0", "\U00010400")
"""What a letter may stand after: nothing, letters with and without case, and what is no letter."""
AFTER: Final = ("", "x", "X", "\u03a3", "\u03bf", "\u00c9", "1", ".", " ", "\u05d0", "\U00010428")
"""What may follow it."""
