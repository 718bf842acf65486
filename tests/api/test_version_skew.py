"""This API with an operator of another release: it takes the old one's calls and answers so that it understands."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest

from api.conftest import INSTALLATION, Scim
from scim_api.contract.signing import body_digest, key_id
from support.recorded import CALLS, WEBHOOK_CALLS, missing, recorded_at, shifted, with_news

OF_USES = {
    "lastUsedAt", "userAgent", "lastDeliveredAt", "lastAttemptAt", "failingSince", "failure", "retryAt", "stoppedAt",
    "gapAt", "gap",
}  # fmt: skip


def signed(scim: Scim, claims: dict[str, Any], body: bytes, if_match: str) -> str:
    """The recorded JWT, of this time and for this body; nothing else of it is made by today's code."""
    now = datetime.now(UTC).timestamp()
    fresh = {
        **claims,
        "aud": INSTALLATION,
        "iat": now,
        "exp": now + 60,
        "bsh": body_digest(body),
        "ifm": if_match,
    }
    headers = {"kid": key_id(scim.operator_key.public_key())}
    return jwt.encode(fresh, scim.operator_key, algorithm="EdDSA", headers=headers)


@pytest.mark.parametrize("change", [lambda same: same, with_news], ids=["older", "newer"])
@pytest.mark.parametrize("calls", [CALLS, WEBHOOK_CALLS], ids=["connection", "webhook"])
async def test_a_recorded_life_is_answered_as_it_was(
    scim: Scim, calls: list[dict[str, Any]], change: Callable[[Any], Any]
) -> None:
    by = datetime.now(UTC) - recorded_at(calls)
    revisions = {"0": "0"}
    for call in calls:
        body = b"" if call["body"] is None else json.dumps(change(shifted(call["body"], by))).encode()
        headers = {"content-type": "application/json"} if body else {}
        revision = "" if call["ifMatch"] is None else revisions[call["ifMatch"].strip('"')]
        if revision:
            headers["if-match"] = f'"{revision}"'
        headers["authorization"] = f"Bearer {signed(scim, call['jwtClaims'], body, revision)}"
        answer = await scim.admin.request(call["method"], call["target"], content=body, headers=headers)
        assert (call["what"], answer.status_code) == (call["what"], call["status"]), answer.text
        assert missing(without_uses(call["answer"]), answer.json()) == [], call["what"]
        if "revision" in call["answer"]:
            revisions[call["answer"]["revision"]] = answer.json()["revision"]


def without_uses(answer: Any) -> Any:
    """Nobody comes with a token here, and nothing is delivered: what is told of that may be null."""
    if isinstance(answer, dict):
        return {name: None if name in OF_USES else without_uses(value) for name, value in answer.items()}
    return [without_uses(item) for item in answer] if isinstance(answer, list) else answer
