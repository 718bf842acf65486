"""Profiles, bodies, strategies and the library as an oracle, for tests of the SCIM core."""

import functools
import json
import unicodedata
from typing import Any

from hypothesis import strategies as st
from scim2_models import (
    Bulk,
    ChangePassword,
    Context,
    ETag,
    Filter,
    Meta,
    Patch,
    ScimFilter,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
)
from scim2_server.conditions import Conditions
from scim2_server.service import ScimService
from scim2_server.utils import load_default_resource_types, load_default_schemas

import scim_api.core.filter.grammar  # noqa: F401 - here, and not within the first example of a property
from scim_api.contract.admin import CustomField, Matching, TenantSettings
from scim_api.contract.urns import CUSTOM_USER, ENTERPRISE_USER, PATCH_OP
from scim_api.core.model import Resource, ResourceWrite
from scim_api.core.patch.apply import patch_user
from scim_api.core.patch.request import read_patch
from scim_api.core.schema.tenant_schema import TenantSchema, compile_tenant_schema

ENT = ENTERPRISE_USER
CUSTOM = CUSTOM_USER
CUSTOM_FIELDS = (
    CustomField(name="postalCode"),
    CustomField(name="badge", type="String"),
    CustomField(name="remote", type="Boolean"),
    CustomField(name="floor", type="Integer"),
    CustomField(name="share", type="Decimal"),
    CustomField(name="hiredAt", type="DateTime"),
    CustomField(name="skills", type="String", multi_valued=True),
)


def profile_of(matching: Matching = Matching.USER_NAME) -> TenantSchema:
    """A tenant with one custom field of each type."""
    settings = TenantSettings(matching=matching, custom_fields=CUSTOM_FIELDS)
    return compile_tenant_schema(settings, f"test-{matching}")


def resource(prepared: ResourceWrite) -> Resource:
    """What a store would hand back."""
    moment = "2026-11-23T14:00:00.123456Z"
    return Resource("00000000-0000-4000-8000-000000000001", 1, moment, moment, prepared.doc)


def patched(
    tenant: TenantSchema, current: ResourceWrite, *operations: dict[str, Any], schemas: object = None
) -> dict[str, Any]:
    """The user's body after a PATCH."""
    body = {"schemas": schemas or [PATCH_OP], "Operations": list(operations)}
    after = patch_user(tenant, resource(current), read_patch(tenant, body))
    result: dict[str, Any] = json.loads((after or current).doc)
    return result


# -- strategies -----------------------------------------------------------------------------------
WORDS = ("a", "B", "É", "e\u0301", "İ", "i", "ß", "SS", "Σ", "ς", "x@Y.de", "100%", "_", "A b", "\\", '"')
words = st.sampled_from(WORDS)
names = st.sampled_from(
    [
        "userName", "USERNAME", "externalId", "active", "name", "name.givenName", "emails", "emails.value",
        'emails[type eq "work"].value', 'emails[type eq "work"]', "emails[primary eq true].value",
        'emails[type eq "work" and value co "x"].display', "emails[", "title", "roles", "addresses", "manager",
        "value", "type", "primary", "$ref", "display", "schemas", "meta", "id", "password", "groups",
        "givenName", "unknown", "", "[", ".", ENT, f"{ENT}:manager", f"{ENT}:department", CUSTOM,
        f"{CUSTOM}:floor", f"{CUSTOM}:skills", f"{CUSTOM}:undeclared", "floor", "hiredAt", "skills",
        "urn:ietf:params:scim:schemas:core:2.0:User", f"{ENT}:manager.value",
    ]
)  # fmt: skip

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.sampled_from(["True", "false", "work", "", "value"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


# -- the library ----------------------------------------------------------------------------------
@functools.cache
def library() -> ScimProvider:
    """scim2-models with models made from its default schemas (e-mail values are plain strings there)."""
    kept = [s for urn, s in load_default_schemas().items() if urn.rsplit(":", 1)[-1] in {"User", "Group"}]
    config = ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=200),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=False),
        etag=ETag(supported=True),
    )
    policy = ScimPolicy(
        unknown=ScimPolicy.Unknown.ignore,
        remove_value_as_filter=ScimPolicy.RemoveValue.apply,
        unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
    )
    types = list(load_default_resource_types().values())
    return ScimProvider.from_discovery(kept, types, config, policy)


def library_patched(body: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """What scim2-server makes of a user and canonical operations."""
    provider = library()
    service = ScimService(provider)
    kind = next(t for t in provider.resource_types if t.name == "User")
    with provider:
        user = service.read_creation(kind, json.dumps(body).encode(), "application/json")
        user.id, user.meta = "x", Meta(resource_type="User", version="1")
        message = json.dumps({"schemas": [PATCH_OP], "Operations": operations}).encode()
        service.apply_patch(user, service.read_patch(kind, message, "application/json"), Conditions())
        result: dict[str, Any] = user.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    return {key: value for key, value in result.items() if key not in {"id", "meta", "schemas"}}


# -- filters --------------------------------------------------------------------------------------
_OPERATORS = ("eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le")
_quoted = words.map(lambda value: json.dumps(value, ensure_ascii=False)) | st.just('""')
_text_names = st.sampled_from(
    ["title", "displayname", "NickName", "name.givenName", "emails.value", "emails.type", "emails", "externalId",
     "addresses.country", f"{ENT}:department", f"{ENT}:manager.value", "userName"]
)  # fmt: skip
atoms = st.one_of(
    st.builds(lambda n, o, v: f"{n} {o} {v}", _text_names, st.sampled_from(_OPERATORS), _quoted),
    st.builds(lambda n: f"{n} pr", _text_names | st.sampled_from(["active", "name", "addresses", ENT + ":manager"])),
    st.builds(lambda n, o: f"{n} {o} null", _text_names, st.sampled_from(["eq", "ne"])),
    st.builds(lambda o, v: f"active {o} {v}", st.sampled_from(["eq", "ne"]), st.sampled_from(["true", "false"])),
    st.builds(lambda o, v: f'emails[type eq "work" and value {o} {v}]', st.sampled_from(_OPERATORS), _quoted),
    st.builds(lambda v: f"emails[primary eq true].value eq {v}", _quoted),
    st.sampled_from(['emails[not (type eq "work")]', "emails[type pr]", "emails[display eq null]", "addresses[country pr or locality pr]"]),
)  # fmt: skip
filters: st.SearchStrategy[str] = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds(lambda a, o, b: f"({a}) {o} ({b})", inner, st.sampled_from(["and", "or", "AND"]), inner),
        inner.map(lambda a: f"not ({a})"),
    ),
    max_leaves=4,
)
_two_words = st.builds(lambda a, b: a + b, words, words)
users = st.fixed_dictionaries(
    {"userName": _two_words},
    optional={
        "title": _two_words,
        "displayName": _two_words,
        "nickName": words,
        "externalId": words,
        "active": st.booleans(),
        "name": st.fixed_dictionaries({"givenName": words}),
        "emails": st.lists(
            st.fixed_dictionaries(
                {"type": st.sampled_from(["work", "home", "Work"])}, optional={"value": words, "display": words}
            ),
            min_size=1, max_size=3,
        ),
        "addresses": st.lists(st.fixed_dictionaries({"country": words}), min_size=1, max_size=2),
        ENT: st.fixed_dictionaries({"department": words}, optional={"manager": st.fixed_dictionaries({"value": words})}),
    },
)  # fmt: skip


def _one_spelling(text: str) -> str:
    """Composed, and with one sigma: the library compares letters as ``str.lower`` makes them, and Unicode's simple case
    folding has a single small sigma, wherever it stands.
    """
    return unicodedata.normalize("NFC", text).replace("Σ", "σ").replace("ς", "σ")


def library_matches(bodies: list[dict[str, Any]], text: str) -> set[int]:
    """Which bodies satisfy the filter, says ``ScimFilter.match``."""
    provider = library()
    bodies = json.loads(_one_spelling(json.dumps(bodies, ensure_ascii=False)))
    text = _one_spelling(text)
    model: Any = provider.model_for("User")
    with provider:
        wanted: Any = ScimFilter.__class_getitem__(model)
        parsed = wanted(text)
        return {i for i, body in enumerate(bodies) if parsed.match(model.model_validate(body))}
