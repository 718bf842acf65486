"""Which Secret is read, and what is told when there is nothing to read with."""

import base64
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from kubectl_scim.credential import NothingToReadWith, for_reading, read
from kubectl_scim.kubectl import Forbidden, Kubectl
from kubectl_scim.scimtoken import ScimToken
from support.played_kubectl import PlayedKubectl
from support.scimtoken_objects import scimtoken, secret

ENTRA = ScimToken(scimtoken())


def reader(name: str, **spec: Any) -> dict[str, Any]:
    body = scimtoken(spec={"access": "ReadOnly", "tenant": "entra", **spec}, secretName=f"{name}-scim-token")
    body["metadata"]["name"] = name
    body["status"]["tenant"] = spec.get("tenant", "entra")
    return body


ENTRAS = secret(endpoint="https://scim.example.com/scim/v2", token="sct_entra")
READERS = secret(endpoint="https://scim.example.com/scim/v2", token="sct_reports")


@pytest.fixture
def played(tmp_path: Path) -> PlayedKubectl:
    return PlayedKubectl(tmp_path)


@pytest.fixture
def kubectl(played: PlayedKubectl) -> Kubectl:
    return Kubectl((), str(played.program))


def test_a_read_only_scim_token_of_the_tenant_is_preferred(played: PlayedKubectl, kubectl: Kubectl) -> None:
    others = [reader("other", tenant="other"), scimtoken(), reader("reports")]
    played.answer("scimtokens.scim-operator.io", out={"items": others})
    played.answer("reports-scim-token", out=READERS)
    played.answer("secret", out=secret(endpoint="https://scim.example.com/scim/v2", token="sct_another"))
    found = for_reading(kubectl, ENTRA)
    assert (found.name, found.token, found.is_read_only) == ("reports", "sct_reports", True)
    assert "sct_" not in repr(found)


@pytest.mark.parametrize("refused", ["scimtokens.scim-operator.io", "reports-scim-token"])
def test_where_the_caller_may_not_read_that_its_own_is_read(
    played: PlayedKubectl, kubectl: Kubectl, refused: str
) -> None:
    played.answer(refused, err="Error from server (Forbidden): it is forbidden", code=1)
    played.answer("scimtokens.scim-operator.io", out={"items": [reader("reports")]})
    played.answer("entra-scim-token", out=ENTRAS)
    assert for_reading(kubectl, ENTRA).token == "sct_entra"


def test_a_read_only_one_is_read_itself_and_no_other(played: PlayedKubectl, kubectl: Kubectl) -> None:
    played.answer("reports-scim-token", out=READERS)
    assert for_reading(kubectl, ScimToken(reader("reports"))).token == "sct_reports"
    assert [call[1] for call in played.calls] == ["secret"]


def test_a_right_that_is_missing_is_named(played: PlayedKubectl, kubectl: Kubectl) -> None:
    played.answer("scimtokens.scim-operator.io", out={"items": []})
    played.answer(
        "secret", err='Error from server (Forbidden): secrets "entra-scim-token" is forbidden', code=1
    )
    with pytest.raises(Forbidden, match='secrets "entra-scim-token"'):
        for_reading(kubectl, ENTRA)


def test_a_client_secret_is_taken_as_what_fetches_a_token(played: PlayedKubectl, kubectl: Kubectl) -> None:
    played.answer(
        "secret",
        out=secret(endpoint="https://scim.example.com/scim/v2", client_id="c", client_secret="scs_1"),
    )
    found = read(kubectl, ENTRA)
    assert (found.token, found.client_id, found.client_secret) == (None, "c", "scs_1")
    assert "scs_" not in repr(found)


def test_while_the_type_changes_what_the_secret_has_counts(played: PlayedKubectl, kubectl: Kubectl) -> None:
    played.answer("secret", out=ENTRAS)
    token = ScimToken(scimtoken(spec={"auth": {"type": "WorkloadIdentity"}}))
    assert read(kubectl, token).token == "sct_entra"


def test_with_a_workload_identity_the_manifest_of_a_reader_is_told(
    played: PlayedKubectl, kubectl: Kubectl
) -> None:
    played.answer("secret", out=secret(endpoint="https://scim.example.com/scim/v2", client_id="c"))
    with pytest.raises(NothingToReadWith, match="workload identity") as raised:
        read(kubectl, ENTRA)
    found = re.search(r"(echo .*) \| kubectl apply -f -$", str(raised.value))
    assert found is not None
    manifest = json.loads(shlex.split(found[1])[1])
    assert manifest["metadata"] == {"name": "entra-reader", "namespace": "team"}
    assert manifest["spec"] == {"tenant": "entra", "access": "ReadOnly"}


def test_an_endpoint_that_is_not_the_operators_is_sent_nothing(
    played: PlayedKubectl, kubectl: Kubectl
) -> None:
    played.answer("secret", out=ENTRAS)
    same = ScimToken(scimtoken(endpoint="https://scim.example.com/scim/v2/"))
    assert read(kubectl, same).token == "sct_entra"
    other = ScimToken(scimtoken(endpoint="https://scim.example.org/scim/v2"))
    with pytest.raises(
        NothingToReadWith, match=r"the operator says https://scim\.example\.org.*nothing is sent"
    ):
        read(kubectl, other)
    with pytest.raises(NothingToReadWith, match="no operator has said yet where the endpoint of entra is"):
        read(kubectl, ScimToken(scimtoken(endpoint="")))


@pytest.mark.parametrize("entries", [{}, {"token": "sct_1"}, {"endpoint": "https://x"}])
def test_a_secret_that_is_not_filled_yet_is_told(
    played: PlayedKubectl, kubectl: Kubectl, entries: dict[str, str]
) -> None:
    played.answer("secret", out=secret(**entries))
    with pytest.raises(NothingToReadWith, match="yet: kubectl scim status entra -n team"):
        read(kubectl, ENTRA)


def test_what_is_no_text_is_nothing(played: PlayedKubectl, kubectl: Kubectl) -> None:
    played.answer("secret", out={"data": {"endpoint": "%", "token": base64.b64encode(b"\xff").decode()}})
    with pytest.raises(NothingToReadWith):
        read(kubectl, ENTRA)
