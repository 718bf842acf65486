"""Each exception becomes one status, one code, and a sentence that says what to do."""

import pytest
from fastapi.exceptions import RequestValidationError

from scim_api.contract.signing import SignatureRefused
from scim_api.http.admin.errors import _refusal
from scim_api.http.request import BodyTooLarge
from scim_api.store import errors


def mistake(*where: str | int, message: str = "Field required") -> dict[str, object]:
    return {"loc": where, "msg": message, "type": "missing"}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (SignatureRefused("no"), 401, "Unauthorized"),
        (BodyTooLarge(1), 413, "Invalid"),
        (RequestValidationError([mistake("body", "tenant")]), 400, "Invalid"),
        (errors.RevisionMismatch("r"), 412, "RevisionMismatch"),
        (errors.SettingsConflict("team/other", ("groups",)), 409, "SettingsConflict"),
        (errors.MatchingImmutable("m"), 409, "MatchingImmutable"),
        (errors.CredentialRevoked("c"), 409, "CredentialRevoked"),
        (errors.DigestInUse("d"), 409, "DigestInUse"),
        (errors.TenantPurging("t"), 409, "TenantPurging"),
        (errors.Unavailable("u"), 503, "Unavailable"),
    ],
)
def test_an_exception_has_its_status_and_code(error: Exception, status: int, code: str) -> None:
    refusal = _refusal(error)
    assert refusal is not None
    assert (refusal[0], refusal[1].code) == (status, code)
    assert len(refusal[1].message) > 10 or isinstance(error, SignatureRefused)


def test_a_conflict_names_the_other_connection_and_what_differs() -> None:
    refusal = _refusal(errors.SettingsConflict("team/other", ("groups", "matching")))
    assert refusal is not None
    assert refusal[1].fields == ("groups", "matching")
    assert "team/other opens the same tenant with another groups, matching" in refusal[1].message


def test_a_fault_of_the_service_is_no_refusal() -> None:
    for error in (
        errors.TooSlow("s"),
        errors.VersionMismatch("v"),
        errors.Conflict("userName"),
        KeyError("k"),
    ):
        assert _refusal(error) is None


def test_of_several_mistakes_the_path_comes_first_and_the_revision_last() -> None:
    mistakes = {
        "Kubernetes names": mistake("path", "name"),
        "limit: Field required": mistake("query", "limit"),
        "credentials.0.digest: String should": mistake(
            "body", "credentials", 0, "digest", message="String should match"
        ),
        "a write needs If-Match": mistake("header", "If-Match"),
    }
    left = list(mistakes.items())
    while left:
        refusal = _refusal(RequestValidationError([item for _, item in reversed(left)]))
        assert refusal is not None
        assert left.pop(0)[0] in refusal[1].message
