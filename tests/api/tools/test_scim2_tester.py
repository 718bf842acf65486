"""scim2-tester (python-scim): its whole suite, strict, against the running service.

It makes users with random types of e-mail, so it runs on a tenant that matches by userName; what a tenant that
matches by work e-mail publishes is checked by the part of the suite that only reads.
"""

import pytest
from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import CheckResult, Status, check_server

from support.scim_service import Endpoint, ScimService

GOOD = {Status.SUCCESS, Status.COMPLIANT}
FLAG = ("remove", "active")
"""The one exception: nobody is enabled by omission, so a Remove leaves ``active`` as it is, as docs/scim.md says."""


def is_about_the_flag_alone(result: CheckResult) -> bool:
    """The flag that was to be removed is what it was."""
    data = result.data if isinstance(result.data, dict) else {}
    return named(result) == FLAG and data["modify_actual"] == data["initial_value"]


def named(result: CheckResult) -> tuple[str, str] | None:
    """The check and the attribute of a result that is about one."""
    data = result.data if isinstance(result.data, dict) else {}
    return (str(result.title).split("_")[1], data["urn"]) if "urn" in data else None


def check(endpoint: Endpoint, tags: set[str] | None = None) -> list[CheckResult]:
    """Run the suite."""
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    with Client(base_url=endpoint.url, headers=headers, trust_env=False) as http:
        return check_server(SyncSCIMClient(http), include_tags=tags)


def test_no_check_of_the_whole_suite_ends_otherwise_than_well(by_name: Endpoint) -> None:
    results = check(by_name)
    bad = [result for result in results if result.status not in GOOD]
    assert [result for result in bad if not is_about_the_flag_alone(result)] == []
    assert {named(result) for result in bad} == {FLAG}, "an exception that is not needed must go"
    assert {result.resource_type for result in results if result.resource_type} == {"User", "Group"}
    assert len(results) > 130


@pytest.mark.parametrize("settings", [{}, {"groups": "Disabled"}, {"customFields": [{"name": "postalCode"}]}])
def test_what_any_tenant_publishes_about_itself_is_right(
    service: ScimService, settings: dict[str, object], unused_name: str
) -> None:
    results = check(service.connect(unused_name, **settings), tags={"discovery", "misc"})
    ran = [result for result in results if result.status is not Status.SKIPPED]
    assert [result for result in ran if result.status not in GOOD] == []
    assert len(ran) > 10
