"""Paths are brought into the RFC's spelling."""

import pytest

from scim_api.http.paths import canonical_path


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/scim/v2/Users", "/scim/v2/Users"),
        ("/SCIM/v2/users/", "/scim/v2/Users"),
        ("//scim//v2//USERS//Ab", "/scim/v2/Users/Ab"),
        ("/scim/v2/serviceproviderconfig", "/scim/v2/ServiceProviderConfig"),
        ("/scim/v2/Users/groups", "/scim/v2/Users/groups"),
        ("/", "/"),
        ("", "/"),
        ("/other", "/other"),
    ],
)
def test_case_and_slashes_do_not_matter_but_an_id_stays_as_it_is(path: str, canonical: str) -> None:
    assert canonical_path(path) == canonical
