"""What is asked for, what is rejected by it, and when it is done."""

from datetime import timedelta

from kubectl_scim import changes
from kubectl_scim.scimtoken import ScimToken
from support.scimtoken_objects import NOW, condition, credential, scimtoken

BEFORE = ScimToken(scimtoken(credentials=(credential("t1"), credential("t0", "Superseded", lastUsedAt=None))))
AFTER = ScimToken(scimtoken(credentials=(credential("t2"), credential("t1", "Superseded"))))


def test_a_rotation_is_done_when_another_credential_is_active_and_ready() -> None:
    change = changes.rotate(BEFORE, NOW)
    assert change.patch == {
        "metadata": {"annotations": {"scim-operator.io/rotate": "2026-11-30T12:00:00+00:00"}}
    }
    assert change.warning is None
    assert not change.is_done(BEFORE)
    assert change.is_done(AFTER)
    half = scimtoken(condition("Ready", "False", "VerificationFailed"), credentials=(credential("t2"),))
    assert not change.is_done(ScimToken(half))
    assert "has t2; t1 is accepted until 2027-02-18T12:00:00Z (in 80 d)" in change.done(AFTER)


def test_a_rotation_without_overlap_warns_of_what_is_rejected() -> None:
    token = ScimToken(scimtoken(spec={"overlap": "0s"}))
    warning = changes.rotate(token, NOW).warning
    assert warning is not None
    assert "t1 is rejected at once" in warning
    assert warning.endswith("last recorded use 12 h ago; it may have been used up to a day later")


def test_a_revocation_says_when_each_was_last_used_and_is_done_when_none_of_them_is_accepted() -> None:
    change = changes.revoke(BEFORE, ["t0", "t1"], "all-before/x", NOW)
    assert (
        change.warning
        == "rejected at once: t1 (Active), last recorded use 12 h ago; t0 (Superseded), no use recorded; each may have been used up to a day later"
    )
    assert (
        changes.revoke(BEFORE, ["t0"], "x", NOW).warning
        == "rejected at once: t0 (Superseded), no use recorded"
    )
    assert not change.is_done(BEFORE)
    ended = ScimToken(scimtoken(credentials=(credential("t2"), credential("t1", "Revoked"))))
    assert change.is_done(ended)
    assert change.done(ended) == "rejected from now on: t0, t1; Secret entra-scim-token has t2"


def test_two_rotations_within_a_second_are_two_requests() -> None:
    later = changes.rotate(BEFORE, NOW + timedelta(milliseconds=1))
    assert later.patch != changes.rotate(BEFORE, NOW).patch


def test_a_leak_ends_what_was_issued_within_the_second_that_the_status_tells() -> None:
    token = ScimToken(scimtoken(credentials=(credential(issuedAt="2026-11-30T12:00:00Z"), credential("t0"))))
    assert changes.leak_limit(token, NOW) == NOW + timedelta(seconds=1)
    assert changes.leak_limit(ScimToken(scimtoken(credentials=())), NOW) == NOW + timedelta(seconds=1)


def test_rotation_is_suspended_and_resumed() -> None:
    suspended = ScimToken(scimtoken(spec={"suspend": True}))
    off, on = changes.suspend(BEFORE), changes.resume(suspended)
    assert (off.patch, on.patch) == ({"spec": {"suspend": True}}, {"spec": {"suspend": False}})
    assert (off.is_done(BEFORE), off.is_done(suspended)) == (False, True)
    assert (on.is_done(suspended), on.is_done(BEFORE)) == (False, True)
    assert not off.is_done(ScimToken(scimtoken(spec={"suspend": True}, generation=3)))
    assert "ends at 2027-02-18T12:00:00Z and is not replaced" in off.done(suspended)
    assert "next at 2027-01-19T12:00:00Z" in on.done(BEFORE)
