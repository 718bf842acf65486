"""What Kubernetes refuses, as the kind of error that decides what is done next; tests/operator/adapters see it refuse."""

from typing import Any

import pytest
from kubernetes.aio import client

from scim_operator.adapters.events import EventRecorder
from scim_operator.adapters.kubernetes import KubernetesCluster
from scim_operator.api.scimtoken import ScimToken
from scim_operator.planning.ports import (
    Conflict,
    Gone,
    KubernetesRejected,
    KubernetesUnreachable,
)

TOKEN = ScimToken.from_object({"metadata": {"name": "entra", "namespace": "team", "uid": "u"}, "spec": {}})


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, Gone),
        (409, Conflict),
        (412, Conflict),
        (403, KubernetesRejected),
        (422, KubernetesRejected),
        (429, KubernetesUnreachable),
        (500, KubernetesUnreachable),
        (None, KubernetesUnreachable),
    ],
)
async def test_a_status_that_is_refused(
    status: int | None, expected: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def call_api(*_: Any, **__: Any) -> Any:
        raise client.ApiException(status=status)

    api = client.ApiClient(client.Configuration(host="https://kubernetes"))
    monkeypatch.setattr(api, "call_api", call_api)
    with pytest.raises(expected) as refused:
        await KubernetesCluster(api, guard=lambda: None, recorder=EventRecorder(api)).apply_status(TOKEN, {})
    await api.close()  # type: ignore[no-untyped-call]
    assert type(refused.value) is expected
