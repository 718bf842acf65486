"""docs/scim.md is true: each of its examples is sent to the running service and answered as it says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api.conftest import Scim

PAGE = Path(__file__).resolve().parents[2] / "docs/scim.md"
SHOWN = "https://scim.example.com/scim/v2"
ANYTHING = "…"
_NAME = re.compile(r"\{([a-z]+)\}")
_ID = "[0-9a-f-]{36}"


class Names:
    """The ids behind the names in braces, learnt from the first answer that has them."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def fill(self, text: str) -> str:
        """A text of a request, with ids in place of names."""
        return _NAME.sub(lambda found: self.known[found[1]], text)

    def is_said(self, told: str, got: object) -> bool:
        """Whether a string of the page means the string of an answer."""
        if told == ANYTHING:
            return True
        if not isinstance(got, str):
            return False
        pattern = re.escape(_NAME.sub(lambda found: self.known.get(found[1], found[0]), told))
        pattern = re.sub(r"\\\{([a-z]+)\\\}", rf"(?P<\1>{_ID})", pattern)
        found = re.fullmatch(pattern, got)
        if found is not None:
            self.known |= found.groupdict()
        return found is not None


def differences(told: Any, got: Any, names: Names, where: str = "") -> Iterator[str]:
    """Where an answer is not what the page says."""
    if isinstance(told, str):
        if not names.is_said(told, got):
            yield f"{where}: {told!r} is told, {got!r} was answered"
    elif isinstance(told, dict) and isinstance(got, dict):
        if ANYTHING not in told and told.keys() != got.keys():
            yield f"{where}: {sorted(told)} are told, {sorted(got)} were answered"
        for key in told.keys() & got.keys() if ANYTHING not in told else told.keys() - {ANYTHING}:
            yield from differences(told[key], got.get(key), names, f"{where}/{key}")
    elif isinstance(told, list) and isinstance(got, list) and len(told) == len(got):
        for number, (one, other) in enumerate(zip(told, got, strict=True)):
            yield from differences(one, other, names, f"{where}/{number}")
    elif told != got:
        yield f"{where}: {told!r} is told, {got!r} was answered"


def examples() -> list[tuple[str, str]]:
    """The pairs of a request and its answer, in the order of the page."""
    blocks = re.findall(r"^```http\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return list(zip(blocks[::2], blocks[1::2], strict=True))


def parts(block: str) -> tuple[str, dict[str, str], str]:
    """First line, headers and body of an example."""
    head, _, body = block.partition("\n\n")
    first, *lines = head.strip().splitlines()
    return first, dict(line.split(": ", 1) for line in lines), body.strip()


def _halves(parameter: str) -> tuple[str, str, str]:
    return parameter.partition("=")


async def test_every_example_is_answered_as_the_page_says(scim: Scim, entra: dict[str, str]) -> None:
    base = str(scim.client.base_url).rstrip("/")
    names = Names()
    wrong: list[str] = []
    asked = examples()
    for request, answer in asked:
        first, headers, body = parts(request)
        method, _, target = names.fill(first).partition(" ")
        path, _, query = target.partition("?")
        got = await scim.client.request(
            method,
            base + path,
            params=[(name, value) for name, _, value in map(_halves, query.split("&"))] if query else None,
            content=names.fill(body).encode() or None,
            headers={**entra, **headers, **({"content-type": "application/scim+json"} if body else {})},
        )
        status, told_headers, told_body = parts(answer)
        heard = {name: got.headers.get(name, "").replace(base, SHOWN) for name in told_headers}
        text = got.text.replace(base, SHOWN)
        found = [f"status {got.status_code} {text}"] if str(got.status_code) != status else []
        found += differences(told_headers, heard, names, "headers")
        if not found:
            if told_body:
                found += differences(json.loads(told_body), json.loads(text), names)
            elif text:
                found.append(f"a body: {text}")
        wrong += [f"{first}: {one}" for one in found]

    assert wrong == []
    assert len(asked) > 20
