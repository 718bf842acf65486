"""Whether Entra is known to use what the Secret publishes: on this rests when a superseded credential may end. Pure."""

from scim_operator.api.scimtoken import ScimToken
from scim_operator.planning.actions import ObservedSecret


def entra_uses_published(token: ScimToken | None, secret: ObservedSecret | None) -> bool | None:
    """Whether ``status.entra`` has seen Entra come with the published credential after it had saved it.

    Returns:
        None where the operator hands nothing over, so that nobody can tell.
    """
    if token is None or token.spec is None or secret is None or secret.kind == "WorkloadIdentity":
        return None
    spec = token.spec.entra
    if spec is None or spec.hand_over != "Automatic":
        return None
    given = None if token.status.entra is None else token.status.entra.handed_over
    return (
        given is not None
        and given.in_use_at is not None
        and given.service_principal_id == spec.service_principal_id
        and given.credential_id == secret.published_id
    )
