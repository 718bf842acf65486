"""Token requests that are right or nearly right, and an independent word on which of them are exactly right."""

import base64
import binascii
import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus, unquote_to_bytes, urlencode

from hypothesis import strategies as st

from scim_api.contract.oauth import ASSERTION_TYPE
from scim_api.contract.tokens import new_token

FORM: Final = "application/x-www-form-urlencoded"
GOOD_ASSERTION: Final = "good.assertion.here"
PARAMETERS: Final = (
    "grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "scope",
)  # fmt: skip
LENGTH: Final = 16 * 1024


@dataclasses.dataclass(frozen=True)
class World:
    """What is accepted: secrets by client id, and who may send assertions; and what is not."""

    secrets: Mapping[str, frozenset[str]]
    trusted: frozenset[str]
    refused: tuple[str, ...]
    """Secrets that were revoked, have ended, or are other kinds of tokens."""

    @property
    def ids(self) -> tuple[str, ...]:
        """All client ids."""
        return tuple(sorted({*self.secrets, *self.trusted}))


@dataclasses.dataclass(frozen=True)
class Sent:
    """A request as it goes over the wire."""

    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def is_right(sent: Sent, world: World) -> bool:
    """Whether the request has to get a token: read here by another way than the service's."""
    types = [value for name, value in sent.headers if name == "content-type"]
    credentials = [value for name, value in sent.headers if name == "authorization"]
    if sent.method != "POST" or len(types) != 1 or len(credentials) > 1 or len(sent.body) > LENGTH:
        return False
    if re.match(r"application/x-www-form-urlencoded\s*(;|$)", types[0].strip(), re.IGNORECASE) is None:
        return False
    fields = _fields(sent.body)
    pair = _pair(credentials[0]) if credentials else ("", "")
    if fields is None or pair is None:
        return False
    names = [name for name, _ in fields if name in PARAMETERS]
    if len(names) != len(set(names)):
        return False
    values = {name: value for name, value in fields if name in PARAMETERS and value}
    if values.get("grant_type") != "client_credentials" or not _is_scope(values.get("scope")):
        return False
    if credentials and "" in pair:
        return False
    if credentials:
        if {values.get("client_id", pair[0]), values.get("client_secret", pair[1])} != set(pair):
            return False
        values |= {"client_id": pair[0], "client_secret": pair[1]}
    secret, assertion = values.get("client_secret"), values.get("client_assertion")
    kind, client_id = values.get("client_assertion_type"), values.get("client_id", "")
    if assertion is None and kind is None:
        return secret is not None and secret in world.secrets.get(client_id, ())
    return (
        secret is None
        and assertion == GOOD_ASSERTION
        and kind == ASSERTION_TYPE
        and client_id in world.trusted
    )


def _decoded(text: str) -> str | None:
    if re.search(r"%[0-9a-fA-F]?(?![0-9a-fA-F])", re.sub(r"%[0-9a-fA-F]{2}", "", text)):
        return None
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode()
    except UnicodeDecodeError:
        return None


def _fields(body: bytes) -> list[tuple[str, str]] | None:
    if not body.isascii():
        return None
    parts = body.decode().split("&")
    if len(parts) > 100:
        return None
    fields = []
    for part in parts:
        name, _, value = part.partition("=")
        both = _decoded(name), _decoded(value)
        if both[0] is None or both[1] is None:
            return None
        fields.append((both[0], both[1]))
    return fields


def _pair(header: str) -> tuple[str, str] | None:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    both = _decoded(name), _decoded(secret)
    if not colon or both[0] is None or both[1] is None:
        return None
    return both[0], both[1]


def _is_scope(scope: str | None) -> bool:
    return scope is None or all(
        word and all("!" <= character <= "~" and character not in '"\\' for character in word)
        for word in scope.split(" ")
    )


# -- requests ---------------------------------------------------------------------------------------

_NOISE: Final = st.sampled_from(
    ("", " ", "x", "%", "%00", "%41", "%zz", "%C3%A4", "ä", "+", "&", "=", ";", "\x00", '"')
)
_VALUES: Final = st.one_of(
    st.sampled_from(
        ("", "client_credentials", "password", ASSERTION_TYPE, GOOD_ASSERTION, "scim", "a  b", "none")
    ),
    st.text(max_size=20),
)


@st.composite
def requests(draw: st.DrawFn, world: World) -> Sent:
    """A request that was right, with a few changes that may or may not matter."""
    client_id = draw(st.sampled_from(world.ids))
    way = draw(st.sampled_from(("header", "form", "both", "assertion")))
    some = tuple(world.secrets.get(client_id, ())) or world.refused
    secret = draw(st.sampled_from(tuple(sorted(some))))
    fields = [("grant_type", "client_credentials")]
    headers = [("content-type", FORM)]
    if way in {"form", "both"}:
        fields += [("client_id", client_id), ("client_secret", secret)]
    if way in {"header", "both"}:
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
        headers.append(("authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"))
    if way == "assertion":
        fields += [
            ("client_id", client_id),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", GOOD_ASSERTION),
        ]
    for _ in range(draw(st.integers(0, 3))):
        fields, headers = draw(_changed(world, fields, headers))
    body = urlencode(fields, errors="replace").encode()
    if draw(st.integers(0, 3)) == 0:
        body = draw(_damaged(body))
    method = draw(st.sampled_from(("POST",) * 20 + ("GET", "PUT", "post", "HEAD", "OPTIONS")))
    return Sent(method, tuple(headers), body)


@st.composite
def _changed(draw: st.DrawFn, world: World, fields: Any, headers: Any) -> Any:
    """One change of a parameter or a header."""
    fields, headers = list(fields), list(headers)
    match draw(st.integers(0, 9)):
        case 0 if fields:
            fields.pop(draw(st.integers(0, len(fields) - 1)))
        case 1 if fields:
            fields.append(draw(st.sampled_from(fields)))
        case 2 if fields:
            at = draw(st.integers(0, len(fields) - 1))
            name, value = fields[at]
            where = draw(st.integers(0, len(value)))
            fields[at] = (name, value[:where] + draw(_NOISE) + value[where + draw(st.integers(0, 1)) :])
        case 3:
            fields.append((draw(st.sampled_from((*PARAMETERS, "baseAddress", "resource"))), draw(_VALUES)))
        case 4 if fields:
            at = draw(st.integers(0, len(fields) - 1))
            everything = (
                *world.refused,
                *world.ids,
                *(one for some in world.secrets.values() for one in some),
            )
            fields[at] = (fields[at][0], draw(st.sampled_from(everything)))
        case 5:
            headers = [item for item in headers if item[0] != "content-type"]
            media_type = draw(
                st.sampled_from((FORM, f"{FORM};charset=utf-8", FORM.upper(), "text/plain", "", FORM[:-1]))
            )
            headers.append(("content-type", media_type))
        case 6:
            pair = (
                f"{draw(st.sampled_from(world.ids))}:{draw(st.sampled_from((*world.refused, '', '%', 'x')))}"
            )
            encoded = base64.b64encode(pair.encode()).decode()
            scheme = draw(st.sampled_from(("Basic ", "basic  ", "Bearer ", "", "Basic")))
            headers.append(("authorization", scheme + encoded))
        case 7 if headers[-1:] and headers[-1][0] == "authorization":
            value = headers[-1][1]
            at = draw(st.integers(0, len(value) - 1))
            headers[-1] = ("authorization", value[:at] + draw(st.sampled_from("Aa0=+/ _é")) + value[at + 1 :])
        case 8 if fields:
            at = draw(st.integers(0, len(fields) - 1))
            fields[at] = (draw(st.sampled_from((*PARAMETERS, fields[at][0].upper(), ""))), fields[at][1])
        case 9:
            fields = draw(st.permutations(fields))
    return fields, headers


@st.composite
def _damaged(draw: st.DrawFn, body: bytes) -> bytes:
    """Bytes put in, taken out or changed; sometimes very many."""
    at = draw(st.integers(0, len(body)))
    put = draw(
        st.one_of(st.binary(max_size=3), st.sampled_from((b"&x=" + b"y" * LENGTH, b"&a" * 120, b"&", b"&&")))
    )
    return body[:at] + put + body[at + draw(st.integers(0, 2)) :]


def refused_kinds() -> tuple[str, ...]:
    """Tokens that were never issued, of each kind."""
    return new_token("ClientSecret"), new_token("BearerToken"), new_token("AccessToken")
