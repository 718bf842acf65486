"""What Microsoft says went wrong, found in JSON within JSON, and repeated without a secret in it.

Graph wraps errors of services behind it: ``message`` may be empty, a sentence, or another JSON document.
"""

import base64
import contextlib
import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import quote, quote_plus

from scim_api.contract import tokens

MESSAGE_LIMIT: Final = 300
"""Characters of Microsoft's own words that are repeated."""
HIDDEN: Final = "[hidden]"
_SHORTEST_SECRET: Final = 8
"""Characters; hiding shorter values would only make messages unreadable."""
_DEPTH: Final = 8
"""How many documents within documents are opened."""
_READ_LIMIT: Final = 65_536
"""Characters of a text that are looked at."""
_CODES: Final = 8
_CODE_LIMIT: Final = 128
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4}")
_CODE_NAMES: Final = ("code", "errorcode")
_MESSAGE_NAMES: Final = ("message", "errormessage", "error_description", "detail", "description", "reason")
_INNER_NAMES: Final = ("error", "innererror", "details", "innererrors", "odata.error")
_REQUEST_ID_NAMES: Final = ("request-id", "requestid", "x-ms-request-id", "trace_id")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclasses.dataclass(frozen=True, slots=True)
class ErrorText:
    """What an answer says of an error, from the outermost document to the innermost."""

    codes: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    """Sentences, not yet fit to be repeated: see ``quoted``."""
    request_id: str | None = None

    @property
    def message(self) -> str:
        """The innermost sentence, which is the nearest to the cause."""
        return self.messages[-1] if self.messages else ""

    @property
    def everything(self) -> str:
        """Codes and sentences in lower case, to look for words in."""
        return " ".join((*self.codes, *self.messages)).lower()


def read_error(body: bytes) -> ErrorText:
    """What an answer's body says; nothing when it is no JSON."""
    text = body[:_READ_LIMIT].decode("utf-8", "replace")
    codes: list[str] = []
    messages: list[str] = []
    request_id: str | None = None
    document = _document(text)
    for kind, value in _walk(document[1], _DEPTH) if document is not None else ():
        if kind == "code" and value not in codes and len(codes) < _CODES:
            codes.append(value)
        elif kind == "message" and value.strip():
            messages.append(value)
        elif kind == "request-id" and request_id is None:
            request_id = clean_request_id(value)
    return ErrorText(tuple(codes), tuple(messages), request_id)


def clean_request_id(value: str | None) -> str | None:
    """The id when it is one, so that nothing else gets into messages and logs."""
    return value if value is not None and _REQUEST_ID.fullmatch(value) else None


def quoted(text: str, confidential: Iterable[str] = (), *, limit: int = MESSAGE_LIMIT) -> str:
    """Microsoft's words in one line, bounded, with every secret cut out.

    Args:
        text: as it came.
        confidential: values that must not be repeated, plain or encoded; what looks like one of our tokens or like a
            JWT is cut out anyway.
        limit: characters.
    """
    return bounded(_without_secrets(text, confidential), limit)


def bounded(text: str, limit: int) -> str:
    """In one line of printable characters, of ``limit`` at most."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def _without_secrets(text: str, confidential: Iterable[str]) -> str:
    for form in sorted(set(_forms(confidential)), key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return _JWT.sub(HIDDEN, tokens.PATTERN.sub(HIDDEN, text))


def _forms(confidential: Iterable[str]) -> Iterator[str]:
    """Each value as it may come back: plain, in a URL or form, in JSON, in base64."""
    for value in confidential:
        if len(value) >= _SHORTEST_SECRET:
            raw = value.encode("utf-8", "surrogatepass")
            yield value
            yield quote(raw, safe="")
            yield quote_plus(raw)
            yield json.dumps(value)[1:-1]
            yield base64.b64encode(raw).decode()


def _document(text: str) -> tuple[str, object] | None:
    """The JSON that a text is, or has in it, and what stands before that."""
    decoder = json.JSONDecoder()
    if text.startswith('"'):
        with contextlib.suppress(ValueError, RecursionError):
            return "", json.loads(text)
    for bracket in "{[":
        if (begin := text.find(bracket)) >= 0:
            with contextlib.suppress(ValueError, RecursionError):
                return text[:begin].strip(" :\"'\r\n\t"), decoder.raw_decode(text, begin)[0]
    return None


def _walk(value: object, depth: int) -> Iterator[tuple[str, str]]:
    """Codes, sentences and request ids of a document, outermost first."""
    if depth <= 0:
        return
    if isinstance(value, str) and (document := _document(value)) is not None:
        yield from _walk(document[1], depth - 1)
    if isinstance(value, list):
        for entry in value[:_CODES]:
            yield from _walk(entry, depth - 1)
        return
    if not isinstance(value, dict):
        return
    fields = {str(name).lower(): field for name, field in value.items()}
    for name in _REQUEST_ID_NAMES:
        if isinstance(found := fields.get(name), str):
            yield "request-id", found
    yield from _sentences(fields, depth)
    for name in _INNER_NAMES:
        if isinstance(fields.get(name), (dict, list)):
            yield from _walk(fields[name], depth - 1)


def _sentences(fields: Mapping[str, object], depth: int) -> Iterator[tuple[str, str]]:
    for name in _CODE_NAMES:
        if isinstance(code := fields.get(name), str) and code:
            yield "code", bounded(code, _CODE_LIMIT)
    for name in _MESSAGE_NAMES:
        text = fields.get(name)
        if isinstance(text, dict):
            text = text.get("value")
        if isinstance(text, str):
            yield from _opened("message", text, depth)
    if isinstance(text := fields.get("error"), str) and text:
        yield from _opened("code", text, depth)


def _opened(kind: str, text: str, depth: int) -> Iterator[tuple[str, str]]:
    """A text; or what stands before the document within it, and what that document says."""
    document = _document(text)
    found = [] if document is None else list(_walk(document[1], depth - 1))
    if document is None or not found:
        yield kind, bounded(text, _CODE_LIMIT) if kind == "code" else text
        return
    if document[0]:
        yield "message", document[0]
    yield from found
