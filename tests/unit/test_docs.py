"""The pages for people say what the code says, where that is cheap to check."""

import re
from pathlib import Path

import pytest
import yaml

from scim_api.contract.admin import AdminError
from scim_api.core import limits
from scim_api.server.settings import ApiSettings
from scim_operator.api import scimtoken, scimwebhook, status, webhook_status
from scim_operator.api.entra import GraphCloud
from scim_operator.planning import actions, planner, sign_in_refusals
from scim_operator.planning.entra.clouds import Clouds
from scim_operator.planning.entra.ports import Obstacle
from scim_operator.settings import RENAMED, OperatorSettings
from support.make import targets

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md"))
CONDITIONS = (ROOT / "docs/conditions.md").read_text(encoding="utf-8")
CONFIGURATION = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
HANDOVER = (ROOT / "docs/entra-handover.md").read_text(encoding="utf-8")
EVERYTHING = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
LIVES_IN_THE_API = {"RevisionMismatch"}
"""Codes of the admin API that never reach a condition: the operator looks again."""


WEBHOOKS = (
    "planning/webhooks/plan.py",
    "planning/webhooks/webhook_status.py",
    "controller/webhook_reconciler.py",
    "adapters/admin_webhooks.py",
)
"""Where reasons of a ScimWebhook are."""


def _anchors(page: Path) -> set[str]:
    """The anchors that a Markdown renderer makes of headings, as GitHub does."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def _links(page: Path) -> list[str]:
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for link in _links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize(
    ("settings", "prefix"), [(ApiSettings, "SCIM_API_"), (OperatorSettings, "SCIM_OPERATOR_")]
)
def test_settings_and_their_tables_name_the_same_variables(
    settings: type[ApiSettings | OperatorSettings], prefix: str
) -> None:
    exist = {f"{prefix}{name.upper()}" for name in settings.model_fields}
    assert set(re.findall(rf"^\| `({prefix}\w+)` \|", CONFIGURATION, re.MULTILINE)) == exist
    renamed = {f"SCIM_OPERATOR_{name}" for name in RENAMED} | {"SCIM_API_WORKERS"}
    assert set(re.findall(rf"\b{prefix}\w+", EVERYTHING)) <= exist | renamed


def test_defaults_of_settings_are_told_as_they_are() -> None:
    for settings, prefix in ((ApiSettings, "SCIM_API_"), (OperatorSettings, "SCIM_OPERATOR_")):
        for name, field in settings.model_fields.items():
            if isinstance(field.default, (int, float)) or (isinstance(field.default, str) and field.default):
                shown = f"{field.default:g}" if isinstance(field.default, float) else field.default
                row = f"| `{prefix}{name.upper()}` | `{shown}` |"
                assert row in CONFIGURATION, row


def _reasons_in_code() -> set[str]:
    sources = [
        (ROOT / "operator/scim_operator" / name).read_text(encoding="utf-8")
        for name in (
            "planning/planner.py",
            "planning/secret_ownership.py",
            "planning/actions.py",
            "planning/conditions.py",
            "planning/endpoint_verdict.py",
            "planning/sign_in_refusals.py",
            "controller/action_executor.py",
            "controller/reconciler.py",
            "controller/failures.py",
            *WEBHOOKS,
        )
    ]
    words = set(re.findall(r'"([A-Z][a-z]+(?:[A-Z][a-z]+)*)"', "\n".join(sources)))
    codes = set(AdminError.model_fields["code"].annotation.__args__)  # type: ignore[union-attr]
    return (words | codes) - LIVES_IN_THE_API


def test_every_reason_in_the_table_exists() -> None:
    table = CONDITIONS.partition("| reason | condition |")[2].partition("\n\n")[0]
    told = {
        word for row in table.splitlines()[2:] for word in re.findall(r"`([A-Za-z]+)`", row.split("|")[1])
    }
    assert len(told) > 10
    assert told <= _reasons_in_code()


def test_every_reason_of_a_condition_or_event_is_explained() -> None:
    told = set(re.findall(r"`([A-Za-z]+)`", CONDITIONS))
    events = {reason.value for reason in actions.IssueReason}
    codes = set(AdminError.model_fields["code"].annotation.__args__) - LIVES_IN_THE_API  # type: ignore[union-attr]
    reconcile = (ROOT / "operator/scim_operator/controller/failures.py").read_text(encoding="utf-8")
    failures = set(re.findall(r'Failure\("\w+", "(\w+)"', reconcile))
    decision = "".join(
        (ROOT / f"operator/scim_operator/planning/{name}.py").read_text(encoding="utf-8")
        for name in ("planner", "secret_ownership")
    )
    check = (ROOT / "operator/scim_operator/planning/endpoint_verdict.py").read_text(encoding="utf-8")
    verdicts = set(
        re.findall(r'(?:_unreachable|EndpointVerdict)\(\s*(?:"(?:True|Unknown)",\s*)?"(?!False)(\w+)"', check)
    )
    assert len(verdicts) >= 14
    refusals = set(re.findall(r'Refuse\(\s*"(\w+)"', decision))
    assert len(failures) >= 3
    assert len(refusals) >= 4
    sign_ins = {
        *sign_in_refusals.REASONS.values(),
        sign_in_refusals.OTHER_REASON,
        sign_in_refusals.NOT_REFUSED,
    }
    assert (events | codes | failures | refusals | verdicts | sign_ins) - told == set()


def test_every_reason_of_a_scimwebhook_is_explained() -> None:
    told = set(re.findall(r"`([A-Za-z]+)`", CONDITIONS))
    sources = "".join(
        (ROOT / "operator/scim_operator" / name).read_text(encoding="utf-8") for name in WEBHOOKS
    )
    words = set(re.findall(r'"([A-Z][a-z]+(?:[A-Z][a-z]+)*)"', sources))
    others = {"True", "False", "Unknown", "Normal", "Warning", "Active", "Superseded", "Conflict"}
    assert len(words) > 15
    assert words - others - told == set()


def test_every_reason_about_entra_is_explained_with_what_to_do() -> None:
    source = (ROOT / "operator/scim_operator/planning/entra/entra_status.py").read_text(encoding="utf-8")
    own = set(re.findall(r'"(?:True|False|Unknown)",\s*"(?!False|Unknown)(\w+)"', source))
    assert len(own) >= 14
    table = HANDOVER.partition("| reason | condition |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \| (.+) \|$", table, re.MULTILINE)
    assert {reason for reason, *_ in rows} == own | {item.value for item in Obstacle}
    assert {condition for _, condition, *_ in rows} == {*status.ENTRA_CONDITIONS, "both"}


def test_every_code_of_the_login_is_explained() -> None:
    source = (ROOT / "operator/scim_operator/planning/entra/sign_in_errors.py").read_text(encoding="utf-8")
    understood = set(re.findall(r"^    ([0-9]+): ", source, re.MULTILINE))
    table = HANDOVER.partition("| AADSTS |")[2].partition("\n\n")[0]
    told = re.findall(r"[0-9]+", " ".join(row.split("|")[1] for row in table.splitlines()[2:]))
    assert len(told) == len(set(told)) >= 30
    assert set(told) == understood
    assert set(re.findall(r"AADSTS([0-9]+)", EVERYTHING)) <= understood


def test_the_hosts_of_every_cloud_are_told() -> None:
    rows = re.findall(
        r"^\| `(\w+)`[^|]* \| `([a-z.-]+)` \| `([a-z.-]+)` \| `(api://\w+)` \|$", HANDOVER, re.MULTILINE
    )
    assert [cloud for cloud, *_ in rows] == [item.value for item in GraphCloud]
    for cloud, login, graph, audience in rows:
        found = Clouds().endpoints(GraphCloud(cloud))
        assert (f"https://{login}", f"https://{graph}") == (found.login, found.graph)
        assert audience == found.exchange_audience


def test_every_alert_has_its_runbook() -> None:
    alerts = yaml.safe_load((ROOT / "charts/scim-operator/files/alerts.yaml").read_text(encoding="utf-8"))
    page = ROOT / "docs/runbooks.md"
    runbooks = re.findall(r"^## (\w+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert runbooks == [alert["alert"] for alert in alerts]
    assert {name.lower() for name in runbooks} <= _anchors(page)


def test_every_runbook_says_what_it_means_how_to_see_it_and_what_to_do() -> None:
    text = (ROOT / "docs/runbooks.md").read_text(encoding="utf-8")
    for runbook in text.split("\n## ")[1:]:
        parts = re.findall(r"^\*\*(It means|See it|Do)\*\*|\band \*\*(do)\*\*", runbook, re.MULTILINE)
        assert ["".join(part).lower() for part in parts] == ["it means", "see it", "do"], runbook[:40]
        assert "\n1. " in runbook
        assert "kubectl" in runbook


def test_every_make_target_that_is_named_exists() -> None:
    commands = re.findall(r"(?:^|`)make ((?:[a-z][a-z0-9-]*\b ?)+)", EVERYTHING, re.MULTILINE)
    named = {word for command in commands for word in command.split()}
    assert {"demo", "test", "kind"} <= named
    assert named <= targets()


def test_every_field_of_a_scimtoken_is_in_the_reference() -> None:
    for name, field in scimtoken.ScimTokenSpec.model_fields.items():
        assert re.search(rf"^\| `{field.alias}[`.\[]", REFERENCE, re.MULTILINE), name
    for name, field in status.ScimTokenStatus.model_fields.items():
        assert f"`{field.alias}" in REFERENCE, name


def test_every_field_of_a_scimwebhook_is_in_the_reference_with_its_default() -> None:
    section = REFERENCE.partition("\n## ScimWebhook")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([\w.]+)`[^|]* \| ([^|]*)\|", section, re.MULTILINE))
    for name, field in scimwebhook.ScimWebhookSpec.model_fields.items():
        if name == "secret":
            assert "secret.name" in rows
            assert "secret.labels" in rows
            continue
        default = str(field.default).lower() if isinstance(field.default, bool) else field.default
        assert not isinstance(default, str) or rows[str(field.alias)] == f"`{default}` ", name
        assert field.alias in rows
    for name, field in webhook_status.ScimWebhookStatus.model_fields.items():
        assert f"`{field.alias}" in section, name


def test_every_limit_is_in_the_reference_with_its_number() -> None:
    table = REFERENCE.partition("## Limits")[2]
    told = {int(number.replace(" ", "")) for number in re.findall(r"\| ([0-9][0-9 ]*) \|", table)}
    numbers = {
        value for name, value in vars(limits).items() if name.startswith("MAX_") and name != "MAX_ECHO"
    }
    assert told == numbers | {planner.MAX_LIVE_TOKENS}


def test_every_test_that_a_page_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", EVERYTHING)
    assert len(named) > 30
    for file, test in named:
        path = ROOT / file
        assert path.exists(), file
        assert re.search(rf"^ *(?:async )?def {test}\(", path.read_text(encoding="utf-8"), re.MULTILINE), test


def test_every_part_of_the_threat_model_says_what_is_defended_and_which_test_shows_it() -> None:
    text = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
    parts = [part for part in text.split("\n## ")[1:] if not part.startswith("Who is trusted")]
    assert len(parts) >= 13
    for part in parts:
        title = part.splitlines()[0]
        assert "an't** " in part, title
        assert "`tests/" in part, title


def test_every_file_that_a_page_names_exists() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"`((?:scim_api|operator|tests|charts|docs|dev)/[\w./-]+\.\w+)`", text):
            assert (ROOT / name).exists(), f"{page.name}: {name}"
