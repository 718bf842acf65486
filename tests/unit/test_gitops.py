"""What docs/gitops.md gives to Argo CD: its health check agrees with kstatus, in the Lua that Argo CD speaks (5.1)."""

import itertools
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from lupa.lua51 import LuaRuntime

from scim_operator.api.crd import KINDS
from support.kstatus import kstatus

PAGE: Final = (Path(__file__).resolve().parents[2] / "docs/gitops.md").read_text(encoding="utf-8")
SCRIPTS: Final[dict[str, str]] = yaml.safe_load(PAGE.split("```yaml\n")[1].split("```")[0])["data"]
SCRIPT: Final = SCRIPTS["resource.customizations.health.scim-operator.io_ScimToken"]
AS_ARGO_CD_SAYS: Final = {
    "Current": "Healthy",
    "InProgress": "Progressing",
    "Failed": "Degraded",
    "Terminating": "Progressing",
}


def health(item: dict[str, Any]) -> dict[str, str]:
    """What the script answers, without Lua's libraries but ``ipairs``, as Argo CD runs it."""
    lua = LuaRuntime(register_eval=False, register_builtins=False)
    lua.execute("os, io, package, require, string, table, math, debug = nil")
    lua.globals().obj = lua.table_from(item, recursive=True)
    return dict(lua.execute(SCRIPT))


def scim_token(
    observed: int | None, ready: str | None, stalled: str | None, *, deleting: bool = False
) -> dict[str, Any]:
    conditions = [
        {"type": kind, "status": status, "message": f"{kind} says"}
        for kind, status in (("Registered", "True"), ("Stalled", stalled), ("Ready", ready))
        if status is not None
    ]
    metadata = {"generation": 2, **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleting else {})}
    return {"metadata": metadata, "status": {"observedGeneration": observed, "conditions": conditions}}


@pytest.mark.parametrize(
    ("observed", "ready", "stalled", "deleting"),
    list(itertools.product((-1, 1, 2), ("True", "False", "Unknown"), (None, "True", "False"), (False, True))),
)
def test_argo_cd_says_what_kstatus_says(
    observed: int, ready: str, stalled: str | None, deleting: bool
) -> None:
    item = scim_token(observed, ready, stalled, deleting=deleting)
    answer = health(item)
    assert answer["status"] == AS_ARGO_CD_SAYS[kstatus(item)]
    assert answer["message"]


def test_each_kind_has_the_same_check() -> None:
    assert set(SCRIPTS) == {
        f"resource.customizations.health.scim-operator.io_{kind.model.kind}" for kind in KINDS
    }
    assert set(SCRIPTS.values()) == {SCRIPT}


@pytest.mark.parametrize("status", [None, {}, {"conditions": []}, {"observedGeneration": 2}])
def test_what_no_operator_has_seen_is_in_progress(status: dict[str, Any] | None) -> None:
    item: dict[str, Any] = {"metadata": {"generation": 2}}
    if status is not None:
        item["status"] = status
    assert health(item)["status"] == "Progressing"


def test_the_message_is_that_of_ready() -> None:
    assert health(scim_token(2, "False", "True"))["message"] == "Ready says"
    assert health(scim_token(2, "False", None, deleting=True))["message"] == "Ready says"


def test_every_hook_of_the_chart_is_in_the_table() -> None:
    templates = (Path(__file__).resolve().parents[2] / "charts/scim-operator/templates").rglob("*")
    hooks = {
        hook
        for path in templates
        if path.is_file()
        for hook in re.findall(r"^ *helm\.sh/hook: (\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert hooks == set(re.findall(r"^\| `([a-z,-]+)`", PAGE, re.MULTILINE))
