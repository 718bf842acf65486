"""The calls to core/v1, beside the generated client's; what they send, tests/operator/adapters see on a real API server."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio import client

from scim_operator.adapters.core_v1 import CoreV1

ROOT = Path(__file__).resolve().parents[4]
CALLS = sorted(name for name in vars(CoreV1) if not name.startswith("_"))


def test_an_operator_s_process_never_imports_the_generated_one() -> None:
    program = "import sys, scim_operator.app; print('kubernetes.aio.client.api.core_v1_api' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, timeout=60, env={"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}", "HOME": "/"},
    )  # fmt: skip
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize("name", CALLS)
def test_each_call_has_the_name_and_the_parameters_of_the_generated_client_s(name: str) -> None:
    ours = inspect.signature(getattr(CoreV1, name)).parameters
    assert ours.keys() <= inspect.signature(getattr(client.CoreV1Api, name)).parameters.keys()


async def test_a_name_leads_to_no_other_object(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def call_api(method: str, url: str, *_: Any, **__: Any) -> Any:
        asked.append(f"{method} {url}")
        raise client.ApiException(status=404)

    api = client.ApiClient(client.Configuration(host="https://kubernetes"))
    monkeypatch.setattr(api, "call_api", call_api)
    with pytest.raises(client.ApiException):
        await CoreV1(api).read_namespaced_secret("../../other/secrets/a?b", "team", _request_timeout=1.0)
    await api.close()  # type: ignore[no-untyped-call]
    assert asked == [
        "GET https://kubernetes/api/v1/namespaces/team/secrets/..%2F..%2Fother%2Fsecrets%2Fa%3Fb"
    ]
