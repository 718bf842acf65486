"""Tests mirror the tree: who opens a module finds its tests by its name."""

from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = {
    "scim_api": (ROOT / "scim_api", ("unit/scim_api", "api")),
    "scim_operator": (ROOT / "operator/scim_operator", ("unit/scim_operator", "operator", "chart")),
    "kubectl_scim": (ROOT / "kubectl_scim", ("unit/kubectl_scim",)),
    "scim_console": (ROOT / "scim_console", ("unit/scim_console", "console")),
}
"""Each package, and the folders below tests/ that mirror it: without I/O, and with real parts."""

ELSEWHERE: Final = {
    "kubectl_scim.custom_object": "what test_scimtoken.py and test_scimwebhook.py have in common",
    "kubectl_scim.tls": "the rule of scim_api.contract.tls, which the plugin may not import: the tests of that hold both",
    "kubectl_scim.commands.act": "what people type: tests/unit/kubectl_scim/test_main.py",
    "kubectl_scim.commands.common": "what the commands share: tests/unit/kubectl_scim/test_main.py",
    "kubectl_scim.commands.doctor": "what people type: tests/unit/kubectl_scim/test_main.py",
    "kubectl_scim.commands.console": "what people type: tests/unit/kubectl_scim/test_main.py",
    "kubectl_scim.commands.look": "what people type: tests/unit/kubectl_scim/test_main.py",
    "scim_console.access": "what a request has to bring, through the guard that asks for it: test_guard.py",
    "scim_console.app": "all of it put together: test_guard.py and pages/ ask it",
    "scim_console.model": "records and protocols without behaviour",
    "scim_api.contract.change_types": "a list of names; tests/api/store/test_change_log.py makes each of them",
    "scim_api.contract.proof": "constants; test_signing.py makes the proof, tests/api/http/test_authentication.py sends it",
    "scim_api.cli.mistake": "an exception without behaviour",
    "scim_api.core.limits": "constants: docs/reference.md and tests/api/test_bad_input.py hold each of them",
    "scim_api.core.model": "records without behaviour",
    "scim_api.core.types": "types without behaviour",
    "scim_api.http.admin.common": "test_endpoints.py, test_webhook_endpoints.py and test_openapi.py go through each of it",
    "scim_api.http.admin.context": "a record and its dependency; every test of the admin API goes through it",
    "scim_api.http.changes.parameters": "by the two that read them: test_feed.py, test_history.py",
    "scim_api.http.oauth.assertion": "a protocol and its exception, without behaviour",
    "scim_api.http.scim.crud": "the handlers that test_users.py, test_groups.py and test_conditional.py ask",
    "scim_api.store.dialect": "a type without behaviour",
    "scim_api.store.duplicate": "a record; sql/test_duplicates.py finds some",
    "scim_api.store.serialized": "records; sql/test_groups.py and test_protocol.py read them",
    "scim_api.store.errors": "exceptions without behaviour; tests/api/store raises each of them",
    "scim_api.store.immediate_reads": "a protocol; test_store.py of SQLite and test_protocol.py read by it",
    "scim_api.store.sqlite.immediate_reads": "the store's own reads: test_store.py, test_protocol.py",
    "scim_api.store.webhooks": "records and a protocol without behaviour; sql/test_webhooks.py reads them",
    "scim_api.store.sqlite.reader_threads": "test_store.py searches by it, sql/test_webhook_status.py reads webhooks",
    "scim_api.store.sql.webhook_rows": "columns as records, which test_webhook_status.py and test_webhook_put.py write and read",
    "scim_api.store.sql.webhook_store": "test_webhooks.py, test_webhook_put.py and test_deliveries.py ask it",
    "scim_api.store.sql.webhook_schema": "part of the schema: test_schema.py",
    "scim_api.store.sql.history_schema": "part of the schema: test_schema.py, and test_change_history.py for its indexes",
    "scim_api.store.sql.connection_state": "records of rows; test_administration.py and test_connections.py read them",
    "scim_api.store.sql.credentials": "through the PUT that needs it: test_connections.py, test_tombstones.py, test_oauth.py",
    "scim_operator.adapters.admin_client": "each call and refusal, through test_admin_api.py and test_admin_webhooks.py",
    "scim_operator.adapters.own_secret": "by the two keys that are kept so: test_admin_key.py, test_webhook_key.py",
    "scim_operator.api.access_rules": "rules of the CRD: test_crd.py",
    "scim_operator.api.crd_rules": "rules of the CRDs: test_crd.py, test_webhook_crd.py",
    "scim_operator.api.custom_object": "what test_scimtoken.py and test_scimwebhook.py have in common",
    "scim_operator.api.printer_columns": "part of the CRDs: test_crd.py",
    "scim_operator.api.scimtoken_rules": "rules of the CRD: test_crd.py, test_auth.py, test_entra.py, test_access.py",
    "scim_operator.api.scimwebhook_rules": "rules of the CRD: test_webhook_crd.py",
    "scim_operator.api.structural_schema": "the schema of the CRDs: test_crd.py",
    "scim_operator.app": "the process around a replica: tests/operator/test_replica.py starts it, as each test of a command does",
    "scim_operator.controller.action_executor": "each action, through the reconciler that plans it: test_reconciler.py, "
    "test_interleavings.py, planning/test_planner.py",
    "scim_operator.controller.hand_over_executor": "each step, through the reconciler that plans it: test_entra_reconciler.py",
    "scim_operator.planning.actions": "records without behaviour: what the planner may answer",
    "scim_operator.planning.entra.ports": "records and protocols without behaviour",
    "scim_operator.reconcile_metrics": "what test_entra_metrics.py and test_webhook_metrics.py have in common",
    "scim_operator.planning.webhooks.ports": "protocols without behaviour",
}
"""Modules without a test file of their own, and why."""


def _modules() -> list[str]:
    return sorted(
        ".".join((name, *path.relative_to(source).with_suffix("").parts))
        for name, (source, _) in PACKAGES.items()
        for path in source.rglob("*.py")
        if path.name != "__init__.py"
    )


def _test_files(module: str) -> list[Path]:
    package, *folders, name = module.split(".")
    return [ROOT.joinpath("tests", mirror, *folders, f"test_{name}.py") for mirror in PACKAGES[package][1]]


@pytest.mark.parametrize("module", _modules())
def test_every_module_has_its_test_file_or_a_reason(module: str) -> None:
    places = _test_files(module)
    if module in ELSEWHERE:
        assert not any(place.exists() for place in places), f"{module} has tests: take it off the list"
        return
    assert any(place.exists() for place in places), "write " + " or ".join(
        str(place.relative_to(ROOT)) for place in places
    )


def test_the_list_of_exceptions_names_modules_that_exist() -> None:
    assert set(ELSEWHERE) <= set(_modules())
