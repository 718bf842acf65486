"""scim2-client (python-scim) end to end: it discovers the service and checks every answer against what it found."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import (
    BulkOperation,
    BulkRequest,
    ListResponse,
    PatchOp,
    PatchOperation,
    ResponseParameters,
    SCIMException,
    SearchRequest,
)

from support.conversation import ENTERPRISE
from support.scim_service import Endpoint, ScimService


@pytest.fixture
def client(endpoint: Endpoint) -> Iterator[SyncSCIMClient]:
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    with Client(base_url=endpoint.url, headers=headers, trust_env=False) as http:
        client = SyncSCIMClient(http)
        client.discover()
        yield client


@pytest.fixture
def user_model(client: SyncSCIMClient) -> Any:
    return client.get_resource_model("User")


@pytest.fixture
def group_model(client: SyncSCIMClient) -> Any:
    return client.get_resource_model("Group")


def user(model: Any, name: str, **more: Any) -> Any:
    """A user of the discovered model."""
    emails = [{"type": "work", "value": f"{name}@contoso.com", "primary": True}]
    return model.model_validate({"userName": f"{name}@contoso.com", "emails": emails, **more})


def change(model: Any, op: str, path: str | None, value: Any = None) -> Any:
    """A PATCH of one operation."""
    return PatchOp[model](operations=[PatchOperation[model](op=op, path=path, value=value)])


def found(answer: Any) -> list[str]:
    """The ids in a list."""
    assert isinstance(answer, ListResponse)
    assert answer.total_results == len(answer.resources or [])
    return [resource.id for resource in answer.resources or []]


def test_it_discovers_the_service(client: SyncSCIMClient) -> None:
    config = client.provider.config
    assert config is not None
    supported = {"patch", "bulk", "filter", "sort", "etag"}
    assert {name for name in supported if getattr(config, name).supported} == supported
    assert config.change_password is not None
    assert config.change_password.supported is False
    assert {kind.name for kind in client.provider.resource_types} == {"User", "Group"}


def test_it_discovers_a_tenants_custom_field_and_writes_it(service: ScimService, unused_name: str) -> None:
    endpoint = service.connect(unused_name, customFields=[{"name": "postalCode", "type": "String"}])
    urn = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    with Client(base_url=endpoint.url, headers=headers, trust_env=False) as http:
        client = SyncSCIMClient(http)
        client.discover()
        model = client.get_resource_model("User")
        made = client.create(user(model, "ada", **{urn: {"postalCode": "12345"}}))
        assert made.model_dump()[urn]["postalCode"] == "12345"


def test_it_creates_reads_lists_replaces_modifies_and_deletes_users(
    client: SyncSCIMClient, user_model: Any
) -> None:
    made = client.create(user(user_model, "ada", **{ENTERPRISE: {"department": "R&D"}}))
    assert made.id
    assert made.meta.version
    other = client.create(user(user_model, "bob"))
    assert client.query(user_model, made.id).model_dump() == made.model_dump()
    assert found(client.query(user_model)) == [made.id, other.id]

    made.title = "Countess"
    replaced = client.replace(made)
    assert (replaced.id, replaced.title) == (made.id, "Countess")
    assert replaced.meta.version != made.meta.version
    modified: Any = client.modify(user_model, made.id, change(user_model, "replace", "title", "Boss"))
    assert modified.title == "Boss"
    modified = client.modify(user_model, made.id, change(user_model, "remove", f"{ENTERPRISE}:department"))
    assert ENTERPRISE not in modified.schemas

    client.delete(user_model, made.id)
    assert found(client.query(user_model)) == [other.id]
    with pytest.raises(SCIMException) as refused:
        client.query(user_model, made.id)
    assert refused.value.to_error().status == 404


def test_it_creates_reads_lists_replaces_modifies_and_deletes_groups(
    client: SyncSCIMClient, user_model: Any, group_model: Any
) -> None:
    ada, bob = (client.create(user(user_model, name)) for name in ("ada", "bob"))
    made = client.create(group_model.model_validate({"displayName": "Sales", "members": [{"value": ada.id}]}))
    assert [member.value for member in made.members] == [ada.id]
    assert made.members[0].ref == ada.meta.location
    assert client.query(group_model, made.id).model_dump() == made.model_dump()

    answer = client.modify(group_model, made.id, change(group_model, "add", "members", [{"value": bob.id}]))
    assert answer is None, "204"
    now = client.query(group_model, made.id)
    assert {member.value for member in now.members} == {ada.id, bob.id}
    client.modify(group_model, made.id, change(group_model, "remove", f'members[value eq "{ada.id}"]'))
    now = client.query(group_model, made.id)
    assert [member.value for member in now.members] == [bob.id]

    now.display_name = "Vertrieb"
    replaced = client.replace(now)
    assert (replaced.display_name, [member.value for member in replaced.members]) == ("Vertrieb", [bob.id])
    bare = client.query(
        group_model, made.id, query_parameters=ResponseParameters(excluded_attributes=["members"])
    )
    assert bare.members is None
    client.delete(group_model, made.id)
    assert found(client.query(group_model)) == []


def test_it_filters_sorts_pages_and_chooses_attributes(client: SyncSCIMClient, user_model: Any) -> None:
    ids = {
        name: client.create(user(user_model, name, title=title, displayName=name.title())).id
        for name, title in (("cy", "B"), ("ada", "A"), ("bob", "A"))
    }

    def ask(**parameters: Any) -> Any:
        return client.query(user_model, query_parameters=SearchRequest(**parameters))

    assert found(ask(filter='title eq "A"')) == [ids["ada"], ids["bob"]]
    assert found(ask(filter='userName sw "c" or displayName co "OB"')) == [ids["cy"], ids["bob"]]
    assert found(ask(sort_by="userName")) == [ids["ada"], ids["bob"], ids["cy"]]
    assert found(ask(sort_by="userName", sort_order="descending")) == [ids["cy"], ids["bob"], ids["ada"]]
    page = ask(start_index=2, count=1)
    assert (page.total_results, page.start_index, page.items_per_page) == (3, 2, 1)
    assert [one.id for one in page.resources] == [ids["ada"]]
    (first, *_) = ask(attributes=["userName"]).resources
    assert (first.user_name, first.title) == ("cy@contoso.com", None)


def test_it_searches_all_types_at_once(client: SyncSCIMClient, user_model: Any, group_model: Any) -> None:
    ada = client.create(user(user_model, "ada", displayName="Sales"))
    group = client.create(group_model.model_validate({"displayName": "Sales"}))
    client.create(group_model.model_validate({"displayName": "Marketing"}))
    answer = client.search(search_request=SearchRequest(filter='displayName eq "sales"'))
    assert set(found(answer)) == {ada.id, group.id}


def test_a_duplicate_is_refused_with_uniqueness(client: SyncSCIMClient, user_model: Any) -> None:
    client.create(user(user_model, "ada"))
    with pytest.raises(SCIMException) as refused:
        client.create(user(user_model, "ada"))
    error = refused.value.to_error()
    assert (error.status, error.scim_type) == (409, "uniqueness")


def test_a_stale_version_is_refused(client: SyncSCIMClient, user_model: Any) -> None:
    made = client.create(user(user_model, "ada"))
    client.modify(user_model, made.id, change(user_model, "replace", "title", "Boss"))
    made.title = "Countess"
    with pytest.raises(SCIMException) as refused:
        client.replace(made)
    assert refused.value.to_error().status == 412


def test_it_sends_a_bulk_job_with_references(
    client: SyncSCIMClient, user_model: Any, group_model: Any
) -> None:
    name = secrets.token_hex(4)
    job = BulkRequest[user_model | group_model](
        operations=[
            BulkOperation[group_model](
                method="POST",
                path="/Groups",
                bulk_id="g",
                data=group_model.model_validate(
                    {"displayName": name, "members": [{"value": "bulkId:u", "type": "User"}]}
                ),
            ),
            BulkOperation[user_model](method="POST", path="/Users", bulk_id="u", data=user(user_model, name)),
            BulkOperation[user_model](
                method="POST", path="/Users", bulk_id="again", data=user(user_model, name)
            ),
        ]
    )
    answer: Any = client.bulk(job)
    statuses = {operation.bulk_id: int(operation.status) for operation in answer.operations}
    assert statuses == {"g": 201, "u": 201, "again": 409}
    (group,) = client.query(group_model).resources
    (made,) = client.query(user_model).resources
    assert [member.value for member in group.members] == [made.id]
