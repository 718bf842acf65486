from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scim_api.contract.admin import RATE_BOUNDS, Matching, RateLimit, TenantSettings
from scim_operator.api import scimtoken as models
from scim_operator.api.custom_object import MANAGED_BY_LABEL, ROTATE_ANNOTATION, Key
from scim_operator.api.durations import Until
from scim_operator.api.scimtoken import ScimToken
from scim_operator.api.status import ScimTokenStatus
from scim_operator.planning import ports

NOW = datetime(2026, 11, 23, 12, 0, 0, 987_654, tzinfo=UTC)


def scimtoken(spec: dict[str, Any] | None = None, **metadata: Any) -> ScimToken:
    return ScimToken.from_object(
        {"metadata": {"name": "entra", "namespace": "hr", "uid": "u-1", **metadata}, "spec": spec or {}}
    )


def test_an_object_without_a_spec_has_every_default() -> None:
    token = ScimToken.from_object({"metadata": {"name": "entra", "namespace": "hr"}})
    assert (token.key, token.tenant, token.secret_name) == (Key("hr", "entra"), "entra", "entra-scim-token")
    assert (token.lifetime, token.rotate_before, token.overlap) == (
        timedelta(days=90),
        timedelta(days=30),
        Until.EXPIRY,
    )
    assert token.tenant_settings() == TenantSettings()


def test_what_is_written_wins_over_the_defaults() -> None:
    token = scimtoken(
        {
            "tenant": "contoso",
            "lifetime": "12h",
            "rotateBefore": "1h",
            "overlap": "30m",
            "secret": {"name": "somewhere"},
        }
    )
    assert (token.tenant, token.secret_name) == ("contoso", "somewhere")
    assert token.lifetime == timedelta(hours=12)
    assert token.rotate_before == timedelta(hours=1)
    assert token.overlap == timedelta(minutes=30)


def test_all_that_belongs_to_the_tenant_reaches_the_api() -> None:
    settings = scimtoken(
        {
            "matching": "externalId",
            "groups": "Disabled",
            "customFields": [{"name": "badge", "type": "Integer", "multiValued": True}],
            "rateLimit": {"requestsPerSecond": 25, "burst": 100_000},
            "deletionPolicy": "Delete",
        }
    ).tenant_settings()
    assert settings is not None
    assert settings.matching is Matching.EXTERNAL_ID
    assert settings.groups == "Disabled"
    assert settings.custom_fields[0].model_dump() == {
        "name": "badge",
        "type": "Integer",
        "multi_valued": True,
    }
    assert (settings.rate_limit.requests_per_second, settings.rate_limit.burst) == (25, 100_000)
    assert settings.deletion_policy == "Delete"


def test_one_that_only_reads_has_no_settings_of_the_tenant() -> None:
    assert scimtoken({"access": "ReadOnly"}).tenant_settings() is None
    assert scimtoken({"access": "ReadOnly"}).is_read_only
    assert not scimtoken({"access": "ReadWrite"}).is_read_only
    assert not scimtoken({}).is_read_only


def test_the_spec_has_every_setting_that_the_admin_api_takes() -> None:
    assert set(TenantSettings.model_fields) <= set(models.ScimTokenSpec.model_fields)


@pytest.mark.parametrize(
    "spec",
    [
        {"rateLimit": {"requestsPerSecond": 24}},
        {"rateLimit": {"burst": 24}},
        {"rateLimit": {"burst": 100_001}},
        {"customFields": [{"name": "9a"}]},
        {"customFields": [{"name": "a" * 65}]},
        {"customFields": [{"name": f"f{n}"} for n in range(101)]},
    ],
)
def test_a_spec_refuses_what_the_admin_api_would_refuse(spec: dict[str, Any]) -> None:
    assert scimtoken(spec).spec is None


def test_fields_of_a_newer_version_are_ignored_when_reading() -> None:
    token = ScimToken.from_object(
        {
            "apiVersion": "scim-operator.io/v1alpha1",
            "kind": "ScimToken",
            "metadata": {"name": "entra", "namespace": "hr", "managedFields": [{}], "new": 1},
            "spec": {"auth": {"type": "BearerToken"}, "secret": {"new": 1}},
            "status": {"new": 1},
        }
    )
    assert token.key == ("hr", "entra")


@pytest.mark.parametrize(
    "status",
    [
        {"tokens": [{"id": "t1", "state": "Borrowed", "issuedAt": "2026-11-23", "expiresAt": "2026-11-24"}]},
        {"conditions": [{"type": "Ready", "status": "Perhaps"}]},
        {"expiresAt": "tomorrow"},
        None,
    ],
)
def test_a_status_that_cannot_be_read_does_not_keep_the_operator_from_its_work(status: Any) -> None:
    token = ScimToken.from_object({"metadata": {"name": "entra"}, "status": status})
    assert token.status == ScimTokenStatus()


def test_what_of_a_status_can_be_read_is_kept() -> None:
    status = {"conditions": "many", "nextRotation": "2026-11-24T00:00:00Z", "secretName": "theirs"}
    token = ScimToken.from_object({"metadata": {"name": "entra"}, "status": status})
    assert token.status == ScimTokenStatus(
        next_rotation=datetime(2026, 11, 24, tzinfo=UTC), secret_name="theirs"
    )


def test_null_in_metadata_and_spec_is_as_good_as_absent() -> None:
    metadata = {"name": "entra", "annotations": None, "labels": None, "finalizers": None, "generation": None}
    token = ScimToken.from_object({"metadata": metadata, "spec": None})
    assert token == ScimToken.from_object({"metadata": {"name": "entra"}})
    assert token.spec is not None


@pytest.mark.parametrize("moment", ["2026-11-24T00:00:00Z", "in a form of tomorrow"])
def test_whatever_a_deletion_timestamp_looks_like_it_means_deleting(moment: str) -> None:
    token = ScimToken.from_object({"metadata": {"name": "entra", "deletionTimestamp": moment}})
    assert token.deleting


def test_a_spec_that_is_not_understood_leaves_metadata_and_status_as_they_are() -> None:
    token = ScimToken.from_object(
        {
            "metadata": {"name": "entra", "finalizers": ["scim-operator.io/delete-users"]},
            "spec": {"matching": "shoeSize", "tenant": "other", "secret": {"name": "other"}},
            "status": {"tenant": "contoso", "secretName": "present"},
        }
    )
    assert token.spec is None
    assert (token.tenant, token.secret_name) == ("contoso", "present")
    assert token.metadata.finalizers == ("scim-operator.io/delete-users",)


def test_our_labels_win_over_those_of_the_spec() -> None:
    labels = scimtoken({"secret": {"labels": {"team": "hr", MANAGED_BY_LABEL: "helm"}}}).secret_labels()
    assert labels == {
        "team": "hr",
        MANAGED_BY_LABEL: "scim-operator",
        models.TOKEN_LABEL: "entra",
    }


def test_the_annotations_are_what_is_asked_for() -> None:
    token = scimtoken(annotations={ROTATE_ANNOTATION: "now", models.REVOKE_ANNOTATION: "all-superseded"})
    assert (token.rotate_request, token.revoke_request) == ("now", "all-superseded")
    assert (scimtoken().rotate_request, scimtoken().revoke_request) == (None, None)


def test_a_rate_limit_has_the_bounds_and_defaults_of_the_scim_api() -> None:
    ours, theirs = (model.model_json_schema()["properties"] for model in (models.RateLimitSpec, RateLimit))
    for name in ("requestsPerSecond", "burst"):
        for bound in ("minimum", "maximum", "default"):
            assert ours[name][bound] == theirs[name][bound]
        assert (theirs[name]["minimum"], theirs[name]["maximum"]) == RATE_BOUNDS


def test_a_deletion_timestamp_means_deleting() -> None:
    assert scimtoken(deletionTimestamp="2026-11-23T12:00:00Z").deleting
    assert not scimtoken().deleting


def test_key_is_the_same_for_everybody() -> None:
    assert ports.Key is Key
    assert str(Key("hr", "entra")) == "hr/entra"
