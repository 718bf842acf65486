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


def check(endpoint: Endpoint, tags: set[str] | None = None) -> list[CheckResult]:
    """Run the suite."""
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    with Client(base_url=endpoint.url, headers=headers, trust_env=False) as http:
        return check_server(SyncSCIMClient(http), include_tags=tags)


def test_no_check_of_the_whole_suite_ends_otherwise_than_well(by_name: Endpoint) -> None:
    results = check(by_name)
    bad = [result for result in results if result.status not in GOOD]
    assert bad == []
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
