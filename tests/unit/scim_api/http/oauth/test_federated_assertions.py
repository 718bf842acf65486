"""Whose assertions are taken from a client: exactly those that one of its own trusts names."""

import dataclasses
import hashlib
import hmac
import json
from typing import Any, Final, cast

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from msal.oauth2cli import JwtAssertionCreator

from scim_api.contract.admin import WorkloadIdentityTrust
from scim_api.http.oauth.assertion import AssertionRefused, AssertionVerifier
from scim_api.http.oauth.federated_assertions import FederatedAssertions
from scim_api.http.oauth.issuer_keys import IssuerKeyCache
from support.federation import (
    APPLICATION,
    AUDIENCES,
    ENTRA_TENANT,
    KEYS_URL,
    NOW,
    SUBJECT,
    TRUST,
    Issuer,
    claims,
    client_with,
    encoded,
    jwk,
    private_key,
)

ISSUER: Final = Issuer()
OTHER_URL: Final = "https://other.example/keys"
LOGIN: Final = "https://login.microsoftonline.com"


class Keys:
    """In the place of the cache: each address with its issuer."""

    def __init__(self, **more: Issuer) -> None:
        self.issuers = {KEYS_URL: ISSUER, **more}
        self.asked: list[tuple[str, str]] = []

    async def find(self, url: str, kid: str, now: float) -> RSAPublicNumbers:
        self.asked.append((url, kid))
        if kid not in self.issuers[url].kids:
            raise AssertionRefused("kid", url, kid)
        return self.issuers[url].key(kid).public_key().public_numbers()


def verifier(keys: Keys | None = None) -> AssertionVerifier:
    return FederatedAssertions(cast("IssuerKeyCache", keys or Keys()))


def trust(**changes: Any) -> WorkloadIdentityTrust:
    return TRUST.model_copy(update=changes)


async def refusal(
    assertion: str, *trusts: WorkloadIdentityTrust, keys: Keys | None = None, **changes: Any
) -> AssertionRefused:
    with pytest.raises(AssertionRefused) as refused:
        await verifier(keys).verify(client_with(*(trusts or (TRUST,)), **changes), assertion, NOW)
    return refused.value


async def test_an_assertion_of_the_trusted_identity_is_taken() -> None:
    client = client_with(TRUST)
    assert await verifier().verify(client, ISSUER.assertion(), NOW) == client.credentials[0]


async def test_it_is_taken_again_within_its_life() -> None:
    """Entra's have no ``jti``: a repetition can't be told from another one."""
    client, assertion = client_with(TRUST), ISSUER.assertion()
    for _ in range(3):
        await verifier().verify(client, assertion, NOW)


VARIANTS: Final = {
    "WIF": {"iss": f"{LOGIN}/{ENTRA_TENANT}/v2.0", "aud": f"api://{APPLICATION}", "appid": APPLICATION, "ver": "2.0"},
    "WIF, as the portal has it": {"iss": f"{LOGIN}/{ENTRA_TENANT}/v2.0", "aud": f"api://{APPLICATION}/.default"},
    "WIFSET": {"iss": f"{LOGIN}/{ENTRA_TENANT}", "aud": APPLICATION},
    "SAP": {"iss": f"{LOGIN}/{ENTRA_TENANT}/v2.0", "aud": APPLICATION},
    "observed": {"iss": f"{LOGIN}/{ENTRA_TENANT}/v2.0", "aud": APPLICATION, "azp": APPLICATION, "azpacr": "2"},
    "version 1": {"iss": f"https://sts.windows.net/{ENTRA_TENANT}/", "aud": f"api://{APPLICATION}", "ver": "1.0"},
}  # fmt: skip
"""Of ENTRA-AUTH.md's table: Microsoft's pages, and tokens that were seen, disagree."""


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
async def test_what_msal_signs_is_taken_in_each_variant_of_microsofts_pages(variant: dict[str, str]) -> None:
    pem = ISSUER.key("key-1").private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    creator = JwtAssertionCreator(pem.decode(), "RS256", headers={"kid": "key-1"})
    rest = {name: value for name, value in variant.items() if name not in ("iss", "aud")}
    assertion = creator.create_normal_assertion(
        variant["aud"],
        variant["iss"],
        SUBJECT,
        issued_at=NOW,
        not_before=NOW,
        expires_at=NOW + 3900,
        additional_claims={"tid": ENTRA_TENANT, "oid": SUBJECT, **rest},
    )
    text = assertion.decode() if isinstance(assertion, bytes) else assertion
    client = client_with(TRUST)
    assert await verifier().verify(client, text, NOW) == client.credentials[0]


async def test_an_audience_with_the_endpoints_name_is_taken_when_the_trust_names_it() -> None:
    named = trust(audiences=(*AUDIENCES, f"api://{APPLICATION}/scim.example"))
    assertion = ISSUER.assertion(aud=f"api://{APPLICATION}/scim.example")
    assert await verifier().verify(client_with(named), assertion, NOW)
    assert (await refusal(assertion)).check == "aud"


# -- which trusts ---------------------------------------------------------------------------------
@pytest.mark.parametrize("changes", [{"is_revoked": True}, {"ends_at": float(NOW)}, {"ends_at": NOW - 1.0}])
async def test_a_trust_that_has_ended_takes_nothing_and_costs_nothing(changes: dict[str, Any]) -> None:
    keys = Keys()
    refused = await refusal(ISSUER.assertion(), keys=keys, **changes)
    assert (refused.check, refused.expected) == ("trust", "a trust that has not ended")
    assert keys.asked == []


async def test_a_client_with_secrets_alone_has_no_trust() -> None:
    keys = Keys()
    secret = client_with(TRUST, kind="ClientSecret", trust=None)
    with pytest.raises(AssertionRefused) as refused:
        await verifier(keys).verify(secret, ISSUER.assertion(), NOW)
    assert refused.value.check == "trust"
    assert keys.asked == []


async def test_of_several_trusts_the_one_that_is_met_counts() -> None:
    client = client_with(trust(subjects=("another",)), TRUST, trust(audiences=("another",)))
    assert (await verifier().verify(client, ISSUER.assertion(), NOW)).id == "trust-2"


async def test_of_several_trusts_that_are_met_the_newest_counts() -> None:
    assert (await verifier().verify(client_with(TRUST, TRUST), ISSUER.assertion(), NOW)).id == "trust-1"


async def test_of_several_refusals_that_of_the_newest_trust_is_told() -> None:
    refused = await refusal(
        ISSUER.assertion(),
        trust(subjects=("newest",)),
        trust(audiences=("older",)),
        trust(issuers=("oldest",)),
    )
    assert (refused.check, refused.expected, refused.received) == ("sub", "newest", SUBJECT)


async def test_a_trust_that_has_ended_is_not_the_newest() -> None:
    ended, live = client_with(trust(subjects=("ended",)), trust(subjects=("live",))).credentials
    client = dataclasses.replace(
        client_with(), credentials=(dataclasses.replace(ended, is_revoked=True), live)
    )
    with pytest.raises(AssertionRefused) as refused:
        await verifier().verify(client, ISSUER.assertion(), NOW)
    assert refused.value.expected == "live"


async def test_parts_of_two_trusts_do_not_make_one() -> None:
    one, other = trust(subjects=("one",)), trust(audiences=("other",))
    refused = await refusal(ISSUER.assertion(sub="one", aud="other"), one, other)
    assert refused.check == "aud"


async def test_keys_of_one_trust_sign_nothing_for_another() -> None:
    other = Issuer(("key-9",))
    keys = Keys(**{OTHER_URL: other})
    newest = trust(keys_url=OTHER_URL, issuers=("https://other.example",))
    refused = await refusal(other.assertion(), newest, TRUST, keys=keys)
    assert refused.check == "iss"
    refused = await refusal(ISSUER.assertion(iss="https://other.example"), newest, TRUST, keys=keys)
    assert refused.check == "kid"


# -- forgeries ------------------------------------------------------------------------------------
def forged(header: dict[str, Any], **changes: Any) -> str:
    """Not signed by the issuer."""
    stranger = Issuer(("stranger",))
    whole = {"alg": "RS256", "typ": "JWT", "kid": "key-1", **header}
    return stranger.sign(json.dumps(whole).encode(), json.dumps(claims(**changes)).encode())


def with_hmac(secret: bytes, alg: str) -> str:
    content = f"{encoded(json.dumps({'alg': alg, 'kid': 'key-1'}).encode())}.{encoded(json.dumps(claims()).encode())}"
    return f"{content}.{encoded(hmac.digest(secret, content.encode(), hashlib.sha256))}"


PUBLIC: Final = private_key("key-1").public_key()
DER: Final = PUBLIC.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
PEM: Final = PUBLIC.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
OWN: Final = jwk("key-1", private_key("stranger").public_key().public_numbers())
HEAD, BODY, SIGNATURE = ISSUER.assertion().split(".")
NONE: Final = encoded(b'{"alg":"none","kid":"key-1"}')


@pytest.mark.parametrize(
    ("assertion", "check"),
    [
        (f"{NONE}.{BODY}.", "alg"),
        (f"{NONE}.{BODY}.{SIGNATURE}", "alg"),
        (f"{HEAD}.{BODY}.", "signature"),
        (f"{HEAD}.{BODY}.AAAA", "signature"),
        (f"{HEAD}.{BODY}.{encoded(bytes(256))}", "signature"),
        (with_hmac(PEM, "HS256"), "alg"),
        (with_hmac(DER, "HS256"), "alg"),
        (with_hmac(PEM, "RS256"), "signature"),
        (forged({}), "signature"),
        (forged({"kid": "stranger"}), "kid"),
        (forged({"jwk": OWN}), "header"),
        (forged({"jku": "https://evil.example/keys"}), "header"),
        (forged({"x5u": "https://evil.example/cert"}), "header"),
        (forged({"x5c": ["MIIC"]}), "header"),
        (ISSUER.sign(b'{"alg":"RS256","kid":"key-1","cty":"JWT"}', ISSUER.assertion().encode()), "header"),
        (ISSUER.sign(b'{"alg":"RS256","kid":"key-1"}', ISSUER.assertion().encode()), "form"),
        (ISSUER.sign(b'{"alg":"RS256","kid":"key-1"}', b'{"sub":"a","sub":"b"}'), "form"),
        (jwt.encode(claims(), private_key("key-1"), "RS384", {"kid": "key-1"}), "alg"),
        (jwt.encode(claims(), private_key("key-1"), "PS256", {"kid": "key-1"}), "alg"),
        (jwt.encode(claims(), private_key("key-1"), "RS256"), "kid"),
        (ISSUER.assertion(header={"crit": ["exp"]}), "header"),
        (ISSUER.assertion(exp=10**30), "exp"),
        (f"{ISSUER.assertion()}.", "form"),
        (f"{HEAD}.{BODY}.{SIGNATURE}.{SIGNATURE}.{SIGNATURE}", "form"),
    ],
)  # fmt: skip
async def test_a_forgery_is_refused_by_name(assertion: str, check: str) -> None:
    assert (await refusal(assertion)).check == check


async def test_nothing_of_claims_is_told_before_the_signature_held() -> None:
    for assertion in (
        forged({}, aud="buy at evil.example"),
        forged({"kid": "buy now"}),
        forged({"alg": "buy now"}),
    ):
        refused = await refusal(assertion)
        assert "buy" not in f"{refused.check}{refused.expected}{refused.received}"


async def test_a_wrong_audience_that_the_issuer_did_sign_is_told() -> None:
    refused = await refusal(ISSUER.assertion(aud=f"api://{APPLICATION}/new"))
    assert (refused.check, refused.received) == ("aud", f"api://{APPLICATION}/new")
    assert refused.expected == " or ".join(AUDIENCES)


async def test_no_refusal_holds_the_assertion() -> None:
    for changes in ({"aud": "x"}, {"exp": 1}, {"tid": "x"}):
        assertion = ISSUER.assertion(**changes)
        refused = await refusal(assertion)
        for part in assertion.split("."):
            assert part not in str(refused)


async def test_what_is_long_or_misshapen_costs_no_key() -> None:
    keys = Keys()
    for assertion in ("x" * 99_999, "", "a.b.c", f"{NONE}.{BODY}."):
        await refusal(assertion, keys=keys)
    assert keys.asked == []


async def test_msals_own_private_key_jwt_is_none_of_entras() -> None:
    """As RFC 7523 has it: about the client itself, to the token endpoint."""
    pem = ISSUER.key("key-1").private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    creator = JwtAssertionCreator(pem.decode(), "RS256", headers={"kid": "key-1"})
    endpoint = "https://scim.example/oauth2/token"
    made = creator.create_normal_assertion(endpoint, "a-client", expires_at=NOW + 600)
    assert (await refusal(made.decode() if isinstance(made, bytes) else made)).check == "iss"
