"""Mutated assertions: whatever is changed, only exactly right ones pass, and nothing but a refusal is raised."""

import base64
import json
import os
import re
from collections.abc import Callable
from typing import Any, Final, cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from scim_api.contract.admin import TokenRefusal
from scim_api.contract.signing import utc_now
from scim_api.http.oauth.assertion import AssertionRefused
from scim_api.http.oauth.federated_assertions import FederatedAssertions
from scim_api.http.oauth.issuer_keys import IssuerKeyCache
from support.federation import (
    APPLICATION,
    ENTRA_TENANT,
    KEYS_URL,
    NOW,
    SUBJECT,
    TRUST,
    Issuer,
    claims,
    client_with,
    encoded,
)

ISSUER: Final = Issuer()
CLIENT: Final = client_with(TRUST)
RIGHT: Final = ISSUER.assertion()
RUN: Final = settings(
    max_examples=int(os.environ.get("ASSERTION_EXAMPLES", "400")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
"""100,000 with ``ASSERTION_EXAMPLES=34000``."""


class Keys:
    async def find(self, url: str, kid: str, now: float) -> RSAPublicNumbers:
        assert url == KEYS_URL
        if kid not in ISSUER.kids:
            raise AssertionRefused("kid", "a key", "")
        return ISSUER.key(kid).public_key().public_numbers()


VERIFIER: Final = FederatedAssertions(cast("IssuerKeyCache", Keys()))


async def passes(assertion: str, now: float = NOW) -> bool:
    """Whether it is taken; a refusal has to fit into the status, and be fit to be read."""
    try:
        taken = await VERIFIER.verify(CLIENT, assertion, now)
    except AssertionRefused as refused:
        TokenRefusal(at=utc_now(), check=refused.check, expected=refused.expected, received=refused.received)
        assert all(" " <= char <= "~" for char in f"{refused.check}{refused.expected}{refused.received}")
        return False
    assert taken == CLIENT.credentials[0]
    return True


# -- an oracle that shares no code with the verifier ----------------------------------------------
class Twice(Exception):
    """A member stands twice."""


def strict(text: bytes) -> Any:
    """JSON without NUL, lone surrogates and infinity; raises ``ValueError`` or ``Twice``."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise Twice
        return dict(pairs)

    def constant(name: str) -> None:
        raise ValueError(name)

    document = json.loads(text.decode("utf-8"), object_pairs_hook=once, parse_constant=constant)
    shown = repr(document).encode()
    if re.search(rb"\\x00|\\ud[89a-f]|\binf\b", shown):
        raise ValueError(shown)
    return document


def right_header(header: Any) -> bool:
    return (
        isinstance(header, dict)
        and header.get("alg") == "RS256"
        and header.get("kid") == "key-1"
        and header.get("typ", "JWT") == "JWT"
        and not {"crit", "cty", "jku", "jwk", "x5c", "x5u", "b64"} & set(header)
    )


def right_claims(claim: Any, now: int) -> bool:
    if not isinstance(claim, dict):
        return False
    audience = claim.get("aud")
    if isinstance(audience, list) and len(audience) == 1:
        [audience] = audience
    texts = [claim.get("iss"), claim.get("tid"), claim.get("sub"), audience]
    times = [claim.get("exp"), claim.get("nbf", 0)]
    if not all(type(text) is str for text in texts) or not all(type(moment) is int for moment in times):
        return False
    expiry, beginning = times
    return (
        re.fullmatch(
            rf"https://(login\.microsoftonline\.com|login\.windows\.net)/{ENTRA_TENANT}(/v2\.0)?"
            rf"|https://sts\.windows\.net/{ENTRA_TENANT}/",
            str(texts[0]),
        )
        is not None
        and texts[1] == ENTRA_TENANT
        and texts[2] == SUBJECT
        and texts[3] in (APPLICATION, f"api://{APPLICATION}", f"api://{APPLICATION}/.default")
        and now - 60 < expiry <= now + 86_460
        and 0 <= beginning <= now + 60
    )


# -- what is sent ---------------------------------------------------------------------------------
CHARACTERS: Final = st.characters(min_codepoint=0, max_codepoint=0x2FF)
INSERTED: Final = st.text(CHARACTERS, max_size=3) | st.sampled_from(
    (".", "=", "-", "_", "+", "/", "\n", " ", "é")
)


@st.composite
def cut_and_pasted(draw: st.DrawFn) -> str:
    """The right one, cut and pasted by somebody without the key."""
    text = RIGHT
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + draw(st.sampled_from((0, 1, 1, 2, 40, 4000))))))
        piece = draw(INSERTED | st.just(text[start:end][::-1]) | st.just(text[start:end] * 2))
        text = text[:start] + piece + text[end:]
    return text


VALUES: Final = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8),
    st.sampled_from((
        SUBJECT, APPLICATION, ENTRA_TENANT, f"api://{APPLICATION}", f"api://{APPLICATION}/.default", SUBJECT.upper(),
        f"https://login.microsoftonline.com/{ENTRA_TENANT}", f"https://sts.windows.net/{ENTRA_TENANT}/",
        f"https://sts.windows.net/{ENTRA_TENANT}", "RS256", "JWT", "none", "HS256", "key-1", "",
    )),
    st.integers(-100, 100).map(lambda off: NOW + off), st.integers(-100, 100).map(lambda off: NOW + 86_400 + off),
    st.sampled_from((10**30, 2**63, 2**64, -1, 0, 1e300, float(NOW + 9), str(NOW + 9), [], {}, [APPLICATION])),
    st.lists(st.sampled_from((APPLICATION, f"api://{APPLICATION}", "other")), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)  # fmt: skip
CLAIMS: Final = st.sampled_from(
    ("iss", "aud", "sub", "tid", "exp", "nbf", "iat", "jti", "oid", "appid", "x", "Aud")
)
PARAMETERS: Final = st.sampled_from(
    ("alg", "kid", "typ", "cty", "crit", "jku", "jwk", "x5u", "x5c", "x5t", "b64", "Alg", "nonce")
)


@st.composite
def reworded(draw: st.DrawFn, members: dict[str, Any], names: st.SearchStrategy[str]) -> bytes:
    """JSON of these members with some changed, left out, or sent twice; or with bytes of it changed."""
    pairs = list(members.items())
    for _ in range(draw(st.integers(0, 2))):
        name = draw(names)
        at = next((number for number, pair in enumerate(pairs) if pair[0] == name), len(pairs))
        match draw(st.sampled_from(("change", "change", "change", "drop", "twice"))):
            case "change":
                pairs[at : at + 1] = [(name, draw(VALUES))]
            case "drop":
                del pairs[at : at + 1]
            case _:
                pairs.insert(draw(st.integers(0, len(pairs))), (name, draw(VALUES)))
    ascii_only = draw(st.booleans())
    text = ",".join(
        f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=ascii_only)}" for name, value in pairs
    )
    content = f"{{{text}}}".encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(st.binary(max_size=3)) + content[at + draw(st.integers(0, 3)) :]
    return content


@RUN
@given(cut_and_pasted())
async def test_nothing_that_somebody_without_the_key_makes_of_it_passes(assertion: str) -> None:
    assert await passes(assertion) == (assertion == RIGHT)


@RUN
@given(
    reworded({"alg": "RS256", "typ": "JWT", "kid": "key-1"}, PARAMETERS),
    reworded(claims(), CLAIMS),
    st.integers(-200, 200) | st.just(0),
)
async def test_of_what_the_issuer_signs_exactly_the_right_ones_pass(
    header: bytes, payload: bytes, passed: int
) -> None:
    now = NOW + passed
    try:
        right = right_header(strict(header)) and right_claims(strict(payload), now)
    except (ValueError, Twice):
        right = False
    event("right" if right else "wrong")
    assert await passes(ISSUER.sign(header, payload), now) == right, (header, payload)


@RUN
@given(
    st.sampled_from((encoded, lambda raw: base64.b64encode(raw).decode(), lambda raw: raw.decode("latin-1"))),
    st.binary(max_size=60) | st.sampled_from((b'{"alg":"RS256","kid":"key-1"}', b'{"alg":"none"}')),
    st.binary(max_size=60) | st.just(json.dumps(claims()).encode()),
    st.binary(max_size=300),
)
async def test_nothing_that_a_stranger_puts_together_passes(
    write: Callable[[bytes], str], header: bytes, payload: bytes, signature: bytes
) -> None:
    assert not await passes(".".join(map(write, (header, payload, signature))))


async def test_the_right_one_passes() -> None:
    assert await passes(RIGHT)
