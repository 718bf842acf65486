"""The login's codes in words, each with what to do next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_operator.planning.entra import sign_in_errors
from scim_operator.planning.entra.ports import Obstacle
from support.microsoft import ACCOUNT, CLIENT, PRINCIPAL, SECRET, TENANT, caller, certificate_identity

CONSENT = f"https://login.microsoftonline.com/{TENANT}/adminconsent?client_id={CLIENT}"

MEANINGS = [
    (70021, Obstacle.SIGN_IN_REFUSED, "system:serviceaccount:team:entra-hand-over"),
    (700211, Obstacle.SIGN_IN_REFUSED, "kubectl get --raw /.well-known/openid-configuration"),
    (700212, Obstacle.SIGN_IN_REFUSED, "audience api://AzureADTokenExchange,"),
    (700213, Obstacle.SIGN_IN_REFUSED, "subject system:serviceaccount:team:entra-hand-over"),
    (7002138, Obstacle.SIGN_IN_REFUSED, "no federated credential"),
    (700024, Obstacle.SIGN_IN_REFUSED, "set the clocks"),
    (700023, Obstacle.SIGN_IN_REFUSED, "SCIM_OPERATOR_ENTRA_LOGIN_URL"),
    (7000272, Obstacle.SIGN_IN_REFUSED, "kubectl get --raw /openid/v1/jwks"),
    (50166, Obstacle.SIGN_IN_REFUSED, "reachable from the Internet"),
    (7000215, Obstacle.SIGN_IN_REFUSED, "its Value, not its Secret ID"),
    (7000222, Obstacle.SIGN_IN_REFUSED, f"az ad app credential reset --id {CLIENT} --append"),
    (700027, Obstacle.SIGN_IN_REFUSED, f"--id {CLIENT} --cert @tls.crt --append"),
    (700016, Obstacle.CONSENT_MISSING, CONSENT),
    (7000229, Obstacle.CONSENT_MISSING, CONSENT),
    (65001, Obstacle.CONSENT_MISSING, CONSENT),
    (650052, Obstacle.CONSENT_MISSING, CONSENT),
    (7000112, Obstacle.SIGN_IN_REFUSED, "is disabled"),
    (90002, Obstacle.SIGN_IN_REFUSED, f"there is no tenant {TENANT} in cloud Public"),
    (500011, Obstacle.SIGN_IN_REFUSED, "does spec.entra.cloud (Public) name the tenant's cloud?"),
    (53003, Obstacle.SIGN_IN_REFUSED, "Conditional Access"),
    (90033, Obstacle.UNREACHABLE, "busy"),
]


@pytest.mark.parametrize(("code", "obstacle", "words"), MEANINGS, ids=[str(row[0]) for row in MEANINGS])
def test_each_code_is_told_with_what_to_do(code: int, obstacle: Obstacle, words: str) -> None:
    refusal = sign_in_errors.explain((code,), caller())
    assert refusal is not None
    assert refusal.obstacle is obstacle
    assert words in refusal.text


def test_every_code_has_words_for_every_way_to_sign_in() -> None:
    for code in sign_in_errors._EXPLANATIONS:
        for identity in (ACCOUNT, SECRET, certificate_identity()):
            refusal = sign_in_errors.explain((code,), caller(identity))
            assert refusal is not None
            assert "{" not in refusal.text
            assert SECRET.secret not in refusal.text


def test_an_unknown_code_is_left_to_microsofts_words() -> None:
    assert sign_in_errors.explain((123456,), caller()) is None
    assert sign_in_errors.explain((), caller()) is None


def test_codes_are_taken_from_the_list_and_from_the_words() -> None:
    assert sign_in_errors.codes_in([1, True, "x", 2], "AADSTS90002: no. AADSTS700016") == (
        1,
        2,
        90002,
        700016,
    )
    assert sign_in_errors.codes_in(None, "") == ()


@given(st.text() | st.lists(st.integers() | st.text()) | st.none(), st.text())
def test_no_answer_makes_the_search_for_codes_fail(listed: object, description: str) -> None:
    sign_in_errors.explain(sign_in_errors.codes_in(listed, description), caller())


def test_a_missing_grant_is_told_with_the_commands_that_make_it() -> None:
    told = sign_in_errors.missing_grant(caller())
    assert (
        f"az ad app permission add --id {CLIENT} --api 00000003-0000-0000-c000-000000000000 "
        f"--api-permissions 9b50c33d-700f-43b1-b2eb-87e89b703581=Role && az ad app permission admin-consent --id {CLIENT}"
    ) in told
    assert f"https://graph.microsoft.com/v1.0/servicePrincipals/{PRINCIPAL}/owners/$ref" in told
    assert "Application.ReadWrite.OwnedBy" in told
    assert CONSENT in told
    assert "A new grant shows only in a new access token" in told


def test_no_repr_of_a_caller_shows_a_secret() -> None:
    identity = certificate_identity()
    assert SECRET.secret not in repr(caller(SECRET))
    assert "PRIVATE KEY" not in repr(caller(identity))
    assert caller(SECRET).confidential == (SECRET.secret,)
    assert caller(identity).confidential == (identity.private_key,)
    assert caller().confidential == ()
