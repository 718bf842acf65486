"""The admin signature covers the whole request: changed in any one part, it is refused."""

import base64
import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from scim_api.contract.signing import (
    ALGORITHM,
    LEEWAY,
    LIFETIME,
    SignatureRefused,
    key_id,
    public_pem,
    sign,
    sign_proof,
    verify,
    verify_body,
    verify_proof,
)

KEY: Final = Ed25519PrivateKey.generate()
SECOND: Final = timedelta(seconds=1)


@dataclasses.dataclass(frozen=True)
class SignedRequest:
    """What a signature is made over, and verified over."""

    audience: str = "installation-1"
    method: str = "PUT"
    target: str = "/admin/v1/connections/team/entra?x=1"
    body: bytes = b'{"tenant": "contoso"}'
    if_match: str | None = "r1"

    def sign(self, key: Ed25519PrivateKey = KEY, age: timedelta = timedelta()) -> str:
        return sign(key, now=datetime.now(UTC) - age, **dataclasses.asdict(self))

    def verify(self, token: str) -> None:
        head = dataclasses.asdict(self)
        body = head.pop("body")
        verify_body(verify(token, trusted, **head).body_digest, body)


def trusted(kid: str) -> Ed25519PublicKey | None:
    return KEY.public_key() if kid == key_id(KEY.public_key()) else None


SIGNED: Final = SignedRequest()


def test_the_request_that_was_signed_is_accepted() -> None:
    SIGNED.verify(SIGNED.sign())
    without = SignedRequest(method="GET", body=b"", if_match=None)
    without.verify(without.sign())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"method": "DELETE"}, "htm"),
        ({"method": "put"}, "htm"),
        ({"target": "/admin/v1/connections/team/other?x=1"}, "htu"),
        ({"target": "/admin/v1/connections/team/entra"}, "htu"),
        ({"target": "/admin/v1/connections/team/entra?x=2"}, "htu"),
        ({"target": "/admin/v1/connections/team%2Fentra?x=1"}, "htu"),
        ({"body": b'{"tenant":"contoso"}'}, "bsh"),
        ({"body": b""}, "bsh"),
        ({"if_match": "r2"}, "ifm"),
        ({"if_match": ""}, "ifm"),
        ({"if_match": None}, "ifm"),
        ({"audience": "installation-2"}, "another installation"),
    ],
    ids=lambda value: (
        "-".join(f"{name}={item}" for name, item in value.items()) if isinstance(value, dict) else ""
    ),
)
def test_a_request_changed_in_one_part_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(SignatureRefused, match=reason):
        dataclasses.replace(SIGNED, **changes).verify(SIGNED.sign())


@pytest.mark.parametrize("more", [{"body": b"{}"}, {"if_match": "r1"}], ids=["body", "If-Match"])
def test_a_signature_over_less_does_not_hold_for_a_request_with_more(more: dict[str, Any]) -> None:
    bare = dataclasses.replace(SIGNED, body=b"", if_match=None)
    with pytest.raises(SignatureRefused):
        dataclasses.replace(bare, **more).verify(bare.sign())


def test_a_key_that_is_not_trusted_is_refused() -> None:
    with pytest.raises(SignatureRefused, match="not among"):
        SIGNED.verify(SIGNED.sign(key=Ed25519PrivateKey.generate()))


def test_a_signature_by_another_key_in_the_name_of_a_trusted_one_is_refused() -> None:
    claims = jwt.decode(SIGNED.sign(), options={"verify_signature": False})
    stranger = Ed25519PrivateKey.generate()
    forged = jwt.encode(claims, stranger, algorithm=ALGORITHM, headers={"kid": key_id(KEY.public_key())})
    with pytest.raises(SignatureRefused, match="InvalidSignatureError"):
        SIGNED.verify(forged)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_another_algorithm_is_refused(algorithm: str) -> None:
    claims = jwt.decode(SIGNED.sign(), options={"verify_signature": False})
    secret = "" if algorithm == "none" else "x" * 32
    forged = jwt.encode(claims, secret, algorithm=algorithm, headers={"kid": key_id(KEY.public_key())})
    with pytest.raises(SignatureRefused):
        SIGNED.verify(forged)


@pytest.mark.parametrize("claim", ["exp", "iat", "aud", "iss", "htm", "htu", "bsh", "ifm"])
def test_every_claim_is_required(claim: str) -> None:
    claims = jwt.decode(SIGNED.sign(), options={"verify_signature": False})
    del claims[claim]
    token = jwt.encode(claims, KEY, algorithm=ALGORITHM, headers={"kid": key_id(KEY.public_key())})
    with pytest.raises(SignatureRefused):
        SIGNED.verify(token)


def signed_anew(headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """The good request's JWT with other claims or headers, and a signature that holds."""
    claims = jwt.decode(SIGNED.sign(), options={"verify_signature": False}) | changes
    return jwt.encode(claims, KEY, algorithm=ALGORITHM, headers=headers or {"kid": key_id(KEY.public_key())})


def test_another_issuer_is_refused() -> None:
    SIGNED.verify(signed_anew())
    with pytest.raises(SignatureRefused, match="InvalidIssuerError"):
        SIGNED.verify(signed_anew(iss="somebody"))


@pytest.mark.parametrize("nonce", [5, "", "x", "0" * 31, "0" * 33, "G" * 32, ["0" * 32]])
def test_a_nonce_that_no_operator_makes_is_refused(nonce: object) -> None:
    with pytest.raises(SignatureRefused):
        SIGNED.verify(signed_anew(jti=nonce))


def test_each_call_has_a_nonce_of_its_own() -> None:
    head = dataclasses.asdict(SIGNED)
    del head["body"]
    nonces = {verify(SIGNED.sign(), trusted, **head).nonce for _ in range(100)}
    assert len(nonces) == 100
    assert None not in nonces


@pytest.mark.parametrize("longer", [1, 3600, 10 * 365 * 86_400])
def test_a_signature_for_longer_than_a_call_takes_is_refused(longer: int) -> None:
    issued = int(datetime.now(UTC).timestamp())
    SIGNED.verify(signed_anew(iat=issued, exp=issued + 60))
    with pytest.raises(SignatureRefused, match="lives longer than 60 seconds"):
        SIGNED.verify(signed_anew(iat=issued, exp=issued + 60 + longer))


@pytest.mark.parametrize("kid", ["../../../etc/passwd", "0" * 15, "0" * 17, "G" * 16, ""])
def test_a_key_id_that_could_not_be_ours_is_not_even_looked_for(kid: str) -> None:
    head = dataclasses.asdict(SIGNED)
    del head["body"]
    with pytest.raises(SignatureRefused, match="names no key"):
        verify(signed_anew({"kid": kid}), lambda kid: pytest.fail(f"{kid} was looked for"), **head)


def test_a_key_id_that_is_no_string_is_refused() -> None:
    header, _, rest = SIGNED.sign().partition(".")
    fields = json.loads(base64.urlsafe_b64decode(header + "=="))
    other = base64.urlsafe_b64encode(json.dumps(fields | {"kid": 5}).encode()).decode().rstrip("=")
    with pytest.raises(SignatureRefused):
        SIGNED.verify(f"{other}.{rest}")


def test_the_public_half_is_published_as_pem() -> None:
    read = serialization.load_pem_public_key(public_pem(KEY).encode())
    assert isinstance(read, Ed25519PublicKey)
    assert key_id(read) == key_id(KEY.public_key())


def test_times_are_those_that_the_documentation_promises() -> None:
    promised = f"valid for {LIFETIME.seconds} seconds (clocks may differ by {LEEWAY.seconds})"
    assert promised in (Path(__file__).parents[4] / "docs" / "security.md").read_text()


@pytest.mark.parametrize("token", ["", "x", "x.y.z", "a.b", "é.é.é"])
def test_what_is_no_jwt_is_refused(token: str) -> None:
    with pytest.raises(SignatureRefused):
        SIGNED.verify(token)


@pytest.mark.parametrize(
    ("age", "accepted"),
    [
        (LIFETIME + LEEWAY - 5 * SECOND, True),
        (LIFETIME + LEEWAY + SECOND, False),
        (-LEEWAY + 5 * SECOND, True),
        (-LEEWAY - 5 * SECOND, False),
    ],
    ids=["old, within the leeway", "older", "ahead, within the leeway", "further ahead"],
)
def test_a_signature_holds_for_its_lifetime_and_the_leeway_on_both_sides(
    age: timedelta, *, accepted: bool
) -> None:
    token = SIGNED.sign(age=age)
    if accepted:
        SIGNED.verify(token)
        return
    with pytest.raises(SignatureRefused):
        SIGNED.verify(token)


PROOF: Final = {
    "audience": "installation-1",
    "method": "GET",
    "target": "/scim/v2/Users?filter=x",
    "credential": b"\x01" * 32,
}


def proof(key: Ed25519PrivateKey = KEY, age: timedelta = timedelta()) -> str:
    return sign_proof(key, now=datetime.now(UTC) - age, **PROOF)  # type: ignore[arg-type]


def verified(jwt_: str, **changes: Any) -> None:
    verify_proof(jwt_, trusted, **{**PROOF, **changes})


def test_the_operators_own_sign_in_is_known_by_its_signature() -> None:
    verified(proof())


@pytest.mark.parametrize(
    "changes",
    [
        {"audience": "installation-2"},
        {"method": "POST"},
        {"target": "/scim/v2/Users?filter=y"},
        {"target": "/scim/v2/Users"},
        {"credential": b"\x02" * 32},
        {"credential": b""},
    ],
    ids=str,
)
def test_a_proof_for_another_request_or_credential_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SignatureRefused):
        verified(proof(), **changes)


def test_a_proof_by_a_stranger_or_too_late_is_refused() -> None:
    for refused in (proof(Ed25519PrivateKey.generate()), proof(age=LIFETIME + LEEWAY + SECOND), "x", ""):
        with pytest.raises(SignatureRefused):
            verified(refused)


def test_a_proof_is_no_admin_call_and_an_admin_call_no_proof() -> None:
    call = SignedRequest(method="GET", target="/scim/v2/Users?filter=x", body=b"", if_match=None)
    with pytest.raises(SignatureRefused):
        call.verify(proof())
    with pytest.raises(SignatureRefused):
        verified(call.sign())
