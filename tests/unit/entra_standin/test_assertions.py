"""Each form of an assertion is as its source has it."""

import time
from typing import Any

import pytest

from entra_standin.assertions import Assertions, Variant, WorkloadIdentity
from entra_standin.signing_keys import SigningKeys
from unit.entra_standin.token_service import verified

TENANT = "5e1f0c7a-2b6d-4c38-9a41-7d3e8f60b9c2"
APP = "1b2c3d4e-0000-4000-8000-00000000a001"
OBJECT = "1b2c3d4e-0000-4000-8000-00000000b002"
IDENTITY = WorkloadIdentity(TENANT, APP, OBJECT)
V2 = f"https://login.microsoftonline.com/{TENANT}/v2.0"
V1 = f"https://login.microsoftonline.com/{TENANT}"
KEYS = SigningKeys()


def claims(variant: Variant, **changes: Any) -> dict[str, Any]:
    signed = verified(Assertions(IDENTITY, KEYS, variant, clock=lambda: 1000.9, **changes)(), KEYS.jwks())
    assert signed is not None
    return signed


@pytest.mark.parametrize(
    ("variant", "issuer", "audience"),
    [
        (Variant.GUIDE, V2, f"api://{APP}"),
        (Variant.VALIDATOR, V1, APP),
        (Variant.SUCCESSFACTORS, V2, APP),
        (Variant.OBSERVED, V2, APP),
    ],
)
def test_issuer_and_audience_are_those_of_the_source(variant: Variant, issuer: str, audience: str) -> None:
    signed = claims(variant)
    assert (signed["iss"], signed["aud"]) == (issuer, audience)
    assert signed["sub"] == signed["oid"] == OBJECT
    assert signed["tid"] == TENANT
    assert signed["ver"] == "2.0"


@pytest.mark.parametrize("variant", list(Variant))
def test_an_assertion_lives_65_minutes_and_has_no_jti_and_no_roles(variant: Variant) -> None:
    signed = claims(variant)
    assert (signed["iat"], signed["nbf"], signed["exp"]) == (1000, 1000, 4900)
    assert {"jti", "roles"}.isdisjoint(signed)
    assert {"idp", "uti", "rh", "aio"} <= set(signed)


def test_the_application_is_named_as_the_guide_or_as_a_real_token_has_it() -> None:
    names = {"appid", "appidacr", "azp", "azpacr"}
    assert names & set(claims(Variant.GUIDE)) == {"appid", "appidacr"}
    assert names & set(claims(Variant.OBSERVED)) == {"azp", "azpacr"}
    assert claims(Variant.GUIDE)["appidacr"] == claims(Variant.OBSERVED)["azpacr"] == "2"
    assert not names & set(claims(Variant.SUCCESSFACTORS))


def test_a_claim_can_be_changed_or_left_out() -> None:
    signed = claims(Variant.OBSERVED, aud="other", sub=None)
    assert signed["aud"] == "other"
    assert "sub" not in signed


def test_each_assertion_is_new_and_signed_with_the_key_of_the_moment() -> None:
    keys = SigningKeys()
    assertions = Assertions(IDENTITY, keys)
    first = assertions()
    keys.rotate(keep=0)
    second = assertions()
    assert verified(first, keys.jwks()) is None
    signed = verified(second, keys.jwks())
    assert signed is not None
    assert abs(signed["iat"] - time.time()) < 60
