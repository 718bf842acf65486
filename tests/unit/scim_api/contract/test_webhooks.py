"""Bodies about webhooks: what is refused, what is left out, and what is never shown."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from scim_api.contract.admin import AdminErrorCode
from scim_api.contract.change_types import ChangeType
from scim_api.contract.sealing import key_id, new_private_key, read_public_key, seal
from scim_api.contract.signing_secret import new_secret, secret_id
from scim_api.contract.webhooks import (
    REQUEST_LIMIT,
    TIMEOUT_BOUNDS,
    PutWebhook,
    SigningSecret,
    Webhook,
    WebhookPage,
)

NOW = datetime(2026, 11, 23, 14, tzinfo=UTC)


def body(**changes: Any) -> dict[str, Any]:
    secret = {"id": "0123456789abcdef", "sealed": "v1.k.s", "issuedAt": "2026-11-23T14:00:00Z"}
    wanted = {
        "tenant": "contoso",
        "url": "https://app.example/hook",
        "secrets": [secret],
        "ownerUid": "owner",
        "namespaceUid": "namespace",
        **changes,
    }
    return {name: value for name, value in wanted.items() if value is not ...}


def test_what_is_left_out_has_the_defaults_and_what_is_unknown_is_ignored() -> None:
    wanted = PutWebhook.model_validate(body(ofALaterRelease=1))
    assert (wanted.types, wanted.content, wanted.timeout_seconds) == ((), "Thin", 15)
    assert (wanted.suspended, wanted.ping, wanted.redelivery) == (False, None, None)


def test_the_current_secret_has_no_end_or_messages_would_go_out_unsigned() -> None:
    secret = {"id": "0123456789abcdef", "sealed": "v1.k.s", "issuedAt": "2026-11-23T14:00:00Z"}
    ends = {**secret, "until": "2026-11-24T14:00:00Z"}
    with pytest.raises(ValidationError, match="has no end"):
        PutWebhook.model_validate(body(secrets=[ends, secret]))
    assert len(PutWebhook.model_validate(body(secrets=[secret, ends])).secrets) == 2


@pytest.mark.parametrize("name", ["tenant", "url", "secrets", "ownerUid", "namespaceUid"])
def test_whose_it_is_and_where_it_goes_can_not_be_left_out(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        PutWebhook.model_validate(body(**{name: ...}))


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "https://app.example/a b"},
        {"url": "app.example"},
        {"secrets": []},
        {"secrets": body()["secrets"] * 9},
        {"timeoutSeconds": TIMEOUT_BOUNDS[0] - 1},
        {"timeoutSeconds": TIMEOUT_BOUNDS[1] + 1},
        {"ping": ""},
        {"ping": "x" * (REQUEST_LIMIT + 1)},
        {"types": ["user.renamed"]},
        {"tenant": "-"},
    ],
)
def test_what_can_not_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PutWebhook.model_validate(body(**changes))


def test_every_type_of_change_can_be_asked_for() -> None:
    types = get_args(ChangeType)
    assert PutWebhook.model_validate(body(types=types)).types == types


def test_a_secret_as_it_is_made_and_sealed_fits() -> None:
    secret, key = new_secret(), read_public_key(new_private_key())
    sealed = seal(secret, key, f"{'n' * 63}/{'w' * 253}")
    listed = SigningSecret(id=secret_id(secret), sealed=sealed, issued_at=NOW)
    assert sealed.split(".")[1] == key_id(key)
    assert PutWebhook.model_validate(body(secrets=[listed.model_dump(by_alias=True)])).secrets == (listed,)


def test_sealed_text_is_in_no_representation() -> None:
    wanted = PutWebhook.model_validate(body())
    assert "v1.k.s" not in repr(wanted) + str(wanted)
    assert wanted.model_dump(mode="json", by_alias=True)["secrets"][0]["sealed"] == "v1.k.s"


def test_an_answer_needs_little_and_a_later_ones_news_are_ignored() -> None:
    answer = {"namespace": "apps", "name": "app", "exists": False, "revision": "0", "now": NOW, "news": 1}
    read = Webhook.model_validate(answer)
    assert (read.secrets, read.backlog.events, read.stopped_at) == ((), 0, None)
    assert WebhookPage.model_validate({"now": NOW, "items": [answer]}).items == (read,)


def test_its_refusals_are_codes_of_the_admin_api() -> None:
    assert {"TenantNotFound", "TenantImmutable", "SigningSecretNotFound"} <= set(get_args(AdminErrorCode))
