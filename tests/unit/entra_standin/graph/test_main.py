"""The cloud as a program."""

import re

import httpx
import pytest

from entra_standin.graph.__main__ import main
from unit.entra_standin.graph.graph_client import SCOPE, SECRET


def test_it_prints_addresses_and_ids_that_work_and_no_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPH_SECRET", SECRET)

    def wait() -> None:
        printed = capsys.readouterr().out
        assert SECRET not in printed
        told = dict(re.findall(r"(\w+) +(\S+)\n", printed))
        form = {
            "client_id": told["clientID"],
            "client_secret": SECRET,
            "grant_type": "client_credentials",
            "scope": SCOPE,
        }
        url = f"{told['login']}/{told['tenantID']}/oauth2/v2.0/token"
        token = httpx.post(url, data=form, trust_env=False).json()["access_token"]
        job = (
            f"{told['graph']}/v1.0/servicePrincipals/{told['servicePrincipalID']}"
            f"/synchronization/jobs/{told['jobID']}"
        )
        answer = httpx.get(job, headers={"authorization": f"Bearer {token}"}, trust_env=False)
        assert answer.json()["status"]["code"] == "NotRun"

    assert main(["--secret-env", "GRAPH_SECRET"], wait=wait) == 0


@pytest.mark.parametrize("options", [["--secret-env", "NOT_SET"], ["--issuer", "https://cluster.example"]])
def test_what_is_missing_is_told(capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    assert main(options, wait=lambda: None) == 1
    assert capsys.readouterr().err.startswith("can't begin: ")
