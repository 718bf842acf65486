"""Doctor from end to end with a kubectl that answers what is written here: the order, and what it does without a right."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kubectl_scim.doctor.checks_token import LEDGER
from kubectl_scim.doctor.facts import Answer, Failure, passed
from kubectl_scim.doctor.run import Doctor, exit_code
from scim_console.model import Check
from support.installation_objects import deployment, scimwebhook
from support.played_kubectl import PlayedKubectl
from support.scimtoken_objects import condition, credential, scimtoken

TOKEN = scimtoken(
    condition("EndpointReachable"),
    condition("HandedOver"),
    condition("Provisioning"),
    credentials=(credential(expiresAt="2099-02-18T12:00:00Z"),),
    spec={"entra": {"tenantID": "x"}},
    endpoint="https://scim.example.com/scim/v2",
)
PLAIN = "sct_not-to-be-seen"
FORBIDDEN = 'Error from server (Forbidden): {0} is forbidden: User "looker" cannot list resource "{0}"'


def _secret() -> dict[str, Any]:
    data = {"endpoint": "https://x", "token": PLAIN, "token-id": "t1", "expires-at": "2099-02-18T12:00:00Z"}
    ledger = {"tokens": [{"id": "t1", "digest": hashlib.sha256(PLAIN.encode()).hexdigest()}]}
    return {
        "metadata": {"annotations": {LEDGER: json.dumps(ledger)}},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


@pytest.fixture
def played(tmp_path: Path) -> PlayedKubectl:
    """A cluster with the right to read everything; what a test answers before counts first."""
    return PlayedKubectl(tmp_path)


def _usual(played: PlayedKubectl) -> None:
    now = datetime.now(UTC)
    played.answer("version", "--client", out={"clientVersion": {"gitVersion": "v1.37.2"}})
    played.answer("/version", out={"gitVersion": "v1.37.2"})
    played.answer("whoami", out={"metadata": {"creationTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ")}})
    kinds = [{"name": "scimtokens"}, {"name": "scimwebhooks"}]
    played.answer("--raw", out={"resources": kinds})
    states = [{"type": kind, "status": "True"} for kind in ("Established", "NamesAccepted")]
    crd = {"metadata": {"labels": {"app.kubernetes.io/version": "0.1.0"}}, "status": {"conditions": states}}
    played.answer("crd", out=crd)
    played.answer(
        "deployments.apps",
        out={"items": [deployment("operator", SCIM_OPERATOR_LEASE_NAME="ours"), deployment("api")]},
    )
    played.answer("pods", out={"items": []})
    bound = {"kind": "ServiceAccount", "namespace": "scim-system"}
    played.answer("clusterrolebindings", out={"items": [{"subjects": [bound]}]})
    held = {"holderIdentity": "operator-a", "renewTime": now.isoformat(), "leaseDurationSeconds": 3600}
    played.answer("ours", "-n", "scim-system", out={"spec": held})
    played.answer("secret", out=_secret())
    others = scimwebhook(name="others", tenant="another")
    played.answer("scimwebhooks.scim-operator.io", out={"items": [scimwebhook(), others]})
    played.answer("scimtokens.scim-operator.io", "entra", out=TOKEN)
    played.answer("scimtokens.scim-operator.io", out={"items": [TOKEN, TOKEN]})


def _checks(played: PlayedKubectl, name: str | None = "entra", **fields: Any) -> list[Check]:
    def ask(url: str) -> Answer:
        return Answer(url, 401, is_scim_error=True)

    doctor = Doctor(played.in_process(), "team", name, "0.1.0", ask, **fields)
    return list(doctor.checks())


def test_everything_is_looked_at_in_order_and_no_secret_is_told(played: PlayedKubectl) -> None:
    _usual(played)
    said: list[str] = []
    checks = _checks(played, accepts=lambda token: passed(f"tried {token.name}", "200"), say=said.append)
    assert [one.name for one in checks] == [
        "kubectl and server",
        "clock of this machine",
        "custom resources",
        "CRD scimtokens",
        "CRD scimwebhooks",
        "operator runs",
        "operator's release",
        "SCIM API runs",
        "SCIM API's release",
        "operator leads",
        "team/entra: operator",
        "team/entra: Ready",
        "team/entra: Secret entra-scim-token",
        "team/entra: credential in the Secret",
        "tried entra",
        "team/entra: endpoint from inside",
        "endpoint from here",
        "endpoint's certificate",
        "team/entra: Graph sign-in",
        "team/entra: Graph rights",
        "team/entra: Entra has the credential",
        "team/entra: Entra's provisioning job",
        "ScimWebhook team/app: Ready",
        "ScimWebhook team/app: Delivering",
    ]
    assert [one.name for one in checks if one.outcome != "passed"] == ["endpoint's certificate"]
    assert PLAIN not in str(checks)
    assert said[0] == "kubectl and server"


def test_an_endpoint_of_several_scimtokens_is_asked_once_and_all_webhooks_are_looked_at(
    played: PlayedKubectl,
) -> None:
    _usual(played)
    names = [one.name for one in _checks(played, None)]
    assert names.count("endpoint from here") == 1
    assert names.count("team/entra: Ready") == 2
    assert "ScimWebhook team/others: Ready" in names


@pytest.mark.parametrize(
    ("said", "outcome"),
    [(("Unknown", "True"), "not checkable"), (("Unknown", "False"), "failed"), ((), "failed")],
)
def test_a_timeout_from_here_is_no_failure_where_one_scimtoken_says_that_the_endpoint_is_reached(
    played: PlayedKubectl, said: tuple[str, ...], outcome: str
) -> None:
    url = "https://scim.example.com/scim/v2"
    bodies = [scimtoken(condition("EndpointReachable", one), endpoint=url) for one in said] or [
        scimtoken(endpoint=url)
    ]
    played.answer("scimtokens.scim-operator.io", out={"items": bodies})
    _usual(played)
    doctor = Doctor(
        played.in_process(),
        "team",
        None,
        "0.1.0",
        lambda url: Answer(url, failure=Failure.TIMEOUT),
        "scim-system",
    )
    [check] = [one for one in doctor.checks() if one.name == "endpoint from here"]
    assert check.outcome == outcome


def test_without_rights_the_rest_is_checked_and_what_is_missing_is_named(played: PlayedKubectl) -> None:
    played.answer("leases.coordination.k8s.io", err="Error from server (NotFound): none", code=1)
    for kind in ("crd", "deployments.apps", "pods", "secret", "scimwebhooks.scim-operator.io", "whoami"):
        played.answer(kind, err=FORBIDDEN.format(kind), code=1)
    _usual(played)
    checks = _checks(played)
    outcomes = {one.name: one.outcome for one in checks}
    assert outcomes["team/entra: Ready"] == "passed"
    denied = [one for one in checks if one.outcome == "not checkable" and "forbidden" in one.message]
    assert [one.name for one in denied] == [
        "clock of this machine",
        "CRD scimtokens",
        "CRD scimwebhooks",
        "operator runs",
        "SCIM API runs",
        "team/entra: Secret entra-scim-token",
        "ScimWebhooks",
    ]
    assert all(one.remedy and "permission" in one.remedy for one in denied)


def test_the_lease_is_looked_for_where_the_caller_says_that_the_operator_is(played: PlayedKubectl) -> None:
    played.answer("deployments.apps", err=FORBIDDEN.format("deployments"), code=1)
    played.answer(
        "leases.coordination.k8s.io", "-n", "mine", err="Error from server (NotFound): none", code=1
    )
    _usual(played)
    checks = {one.name: one for one in _checks(played, installation="mine")}
    assert "no operator has ever led in mine" in checks["operator leads"].message
    assert [
        "get",
        "pods",
        "-o",
        "json",
        "-n",
        "mine",
        "-l",
        "app.kubernetes.io/part-of=scim-operator",
    ] in played.calls


def test_labels_of_a_namespace_that_is_no_installation_are_not_believed(played: PlayedKubectl) -> None:
    bindings = [{"subjects": [{"kind": "ServiceAccount", "namespace": place}]} for place in ("one", "two")]
    played.answer("clusterrolebindings", out={"items": bindings})
    _usual(played)
    [check] = [one for one in _checks(played) if one.name == "installation"]
    assert check.outcome == "not checkable"
    assert "one, two" in check.message
    assert not any("deployments.apps" in call for call in played.calls)


def test_it_ends_where_there_is_no_answer(played: PlayedKubectl) -> None:
    played.answer("/version", err="Unable to connect to the server", code=1)
    _usual(played)
    [check] = _checks(played)
    assert (check.outcome, exit_code([check])) == ("failed", 1)


@pytest.mark.parametrize(
    ("name", "outcome", "said"),
    [("entra", "failed", "not found"), (None, "not checkable", "there are none in team")],
)
def test_a_scimtoken_that_is_not_there_is_told(
    played: PlayedKubectl, name: str | None, outcome: str, said: str
) -> None:
    played.answer(
        "scimtokens.scim-operator.io",
        "entra",
        err='Error from server (NotFound): scimtokens "entra" not found',
        code=1,
    )
    played.answer("scimtokens.scim-operator.io", out={"items": []})
    _usual(played)
    [check] = [one for one in _checks(played, name) if one.name == "ScimTokens"]
    assert check.outcome == outcome
    assert said in check.message


def test_the_exit_code_says_whether_something_failed_or_could_not_be_told() -> None:
    good, bad, open_ = (Check("x", outcome, "", None) for outcome in ("passed", "failed", "not checkable"))
    assert [exit_code(one) for one in ([good], [good, open_], [bad, open_])] == [0, 2, 1]
