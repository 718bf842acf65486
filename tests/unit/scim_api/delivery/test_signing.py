"""Receivers verify what is signed, by a library that nobody here wrote."""

import base64
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from scim_api.contract.signing_secret import key_of, new_secret
from scim_api.delivery.signing import signed_headers

BODY = b'{"type":"user.created"}'


def test_each_secret_that_is_valid_verifies_and_no_other() -> None:
    current, former, stranger = new_secret(), new_secret(), new_secret()
    headers = signed_headers("7-00c0ffee", int(time.time()), BODY, [key_of(current), key_of(former)])
    for secret in (current, former):
        assert Webhook(secret).verify(BODY, headers) == {"type": "user.created"}
    with pytest.raises(WebhookVerificationError):
        Webhook(stranger).verify(BODY, headers)


@pytest.mark.parametrize("part", ["webhook-id", "webhook-timestamp", "body"])
def test_nothing_of_a_message_can_be_changed(part: str) -> None:
    secret, now = new_secret(), int(time.time())
    headers = signed_headers("7-00c0ffee", now, BODY, [key_of(secret)])
    changed = {"webhook-id": "8-00c0ffee", "webhook-timestamp": str(now + 1)}.get(part)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(
            BODY + b" " if part == "body" else BODY, {**headers, **({part: changed} if changed else {})}
        )


def test_the_signature_is_the_one_of_the_specifications_form() -> None:
    headers = signed_headers("m", 1, b"x", [b"k" * 32])
    version, _, signature = headers["webhook-signature"].partition(",")
    assert (version, len(base64.b64decode(signature))) == ("v1", 32)
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("m", "1")
