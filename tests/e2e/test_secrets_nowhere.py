"""No token's plaintext is written anywhere but in its Secret: looked for by value, in all that a demo run wrote.

The demo itself looks for the form of a token, in its logs, database and objects. This looks for the very
values that the Secrets hold, also without their prefix and inside of other base64, in every file.
"""

import base64
import dataclasses
from collections.abc import Iterable, Sequence

import pytest

from demo.search import Place, search
from scim_api.contract.tokens import CHECK_LENGTH, PREFIX
from support.demo_run import Runs, Written

KINDS = {"files", "output", "objects", "events"}


def disguises(token: str) -> Iterable[bytes]:
    """What of a token would be found: its random part, and its base64 at each of the three alignments."""
    yield token[len(PREFIX) : -CHECK_LENGTH].encode()
    for before, unsteady in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(b"." * before + token.encode())[unsteady:-4]
        yield encoded
        yield encoded.translate(bytes.maketrans(b"+/", b"-_"))


def places_with(places: Iterable[Place], tokens: Sequence[str]) -> set[str]:
    """Names of the places that hold one of these tokens."""
    needles = [needle for token in tokens for needle in disguises(token)]
    return {place.name for place in places if any(needle in place.content for needle in needles)}


@pytest.fixture(scope="module")
def written(runs: Runs) -> Written:
    assert runs.codes[1] == 0, runs.kept.text()
    return runs.written


def test_there_is_something_of_every_kind_to_look_at_and_tokens_to_look_for(written: Written) -> None:
    assert {place.kind for place in written.places} == KINDS
    kinds = {token.partition("_")[0] for token in written.tokens}
    assert kinds == {"sct", "scs"}, "a third ScimToken ends with a workload identity, which has no secret"
    names = {place.name for place in written.places}
    assert {"scim-api.log", "scim-operator.log", "scim.db", "output"} <= names


@pytest.mark.parametrize("name", ["scim-api.log", "scim-operator.log"])
def test_the_logs_were_written_at_debug_level(written: Written, name: str) -> None:
    (log,) = [place for place in written.places if place.name == name]
    assert b'"level":"debug"' in log.content.replace(b": ", b":")


def test_no_token_of_a_secret_is_anywhere_else(written: Written) -> None:
    assert places_with(written.places, written.tokens) == set()


def test_nothing_of_a_tokens_form_is_anywhere_else(written: Written) -> None:
    assert search(written.places).found == {}


def spellings(token: str) -> list[bytes]:
    """Ways in which a mistake could write it down."""
    plain = token.encode()
    pairs = [base64.b64encode(before + plain + b'"}') for before in (b"", b'{"t', b'{"to')]
    return [
        plain,
        plain.removeprefix(PREFIX.encode()),
        *pairs,
        base64.urlsafe_b64encode(b"??>" + plain + b"?"),
    ]


@pytest.mark.parametrize("spelling", range(6))
def test_a_planted_token_is_found_in_each_kind_of_place_however_it_is_spelled(
    written: Written, spelling: int
) -> None:
    for kind in KINDS:
        clean = next(place for place in written.places if place.kind == kind)
        planted = spellings(written.tokens[0])[spelling]
        spoiled = dataclasses.replace(clean, content=clean.content + b" " + planted + b" ")
        assert places_with([clean, spoiled], written.tokens) == {clean.name}
        assert places_with([clean], written.tokens) == set()
