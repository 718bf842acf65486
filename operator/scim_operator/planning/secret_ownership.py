"""Whose the Secret under the wanted name is: ours, to be adopted, to be waited for, or somebody else's. Pure."""

from scim_api.contract.admin import UNKNOWN_REVISION, Connection
from scim_operator.api.custom_object import MANAGED_BY, MANAGED_BY_LABEL
from scim_operator.api.scimtoken import TOKEN_LABEL, TOKENS_ANNOTATION, ScimToken
from scim_operator.planning.actions import AdoptSecret, DeleteFormerSecret, ObservedSecret, Refuse


def is_proven(secret: ObservedSecret, connection: Connection) -> bool:
    """Whether a Secret holds this ScimToken's token beyond doubt, whatever its ownerReferences lack.

    A restored Secret has lost them, and its plaintext is nowhere else. It is proven when all of this holds:

    1. No other object is its controller owner, and none of its ownerReferences names an earlier ScimToken: the
       garbage collector deletes such a Secret.
    2. Its labels name this ScimToken.
    3. The API accepts its token for this connection; or it has never seen the connection, and the ledger lists the
       token: then the database is lost too, and the ledger is what it is rebuilt from.
    """
    is_free = secret.owned or (secret.controller is None and not secret.former_owner)
    return (
        is_free
        and secret.labelled
        and secret.token is not None
        and (
            _is_listed(secret)
            if connection.revision == UNKNOWN_REVISION
            else is_accepted(secret.token, connection)
        )
    )


def plan_ownership(
    token: ScimToken, secret: ObservedSecret, connection: Connection
) -> AdoptSecret | DeleteFormerSecret | Refuse | None:
    """What stands between the ScimToken and the Secret under the wanted name; None: nothing, it is ours."""
    name = token.secret_name
    if secret.deleting:
        return Refuse("SecretDeleting", f"Secret {name} is being deleted; waiting until it is gone")
    if secret.owned:
        return None
    if secret.former_owner and secret.labelled:
        return DeleteFormerSecret()
    if secret.former_owner:
        return Refuse(
            "SecretDeleting",
            f"Secret {name} belongs to an earlier ScimToken {token.metadata.name}, which is gone, so Kubernetes is about to "
            "delete it; waiting until it is gone, then a new token is issued",
        )
    if is_proven(secret, connection):
        return AdoptSecret()
    return Refuse("SecretNotOwned", _advice(token, secret, connection))


def _is_listed(secret: ObservedSecret) -> bool:
    return secret.token in {entry.digest for entry in secret.ledger.tokens}


def is_accepted(digest: str | None, connection: Connection) -> bool:
    """Whether the API accepts the token with this digest, through this connection, now."""
    return any(item.digest == digest and connection.now < item.ends_at for item in connection.credentials)


def _advice(token: ScimToken, secret: ObservedSecret, connection: Connection) -> str:
    """What to do about a Secret that is not ours; no advice loses a token that works."""
    name, space = token.secret_name, token.metadata.namespace
    if secret.controller is not None:
        return f"Secret {name} belongs to {secret.controller}; it was not touched. Choose another spec.secret.name"
    if not secret.labelled:
        return (
            f"Secret {name} exists without the labels of this ScimToken; it was not touched. If it is somebody else's, "
            "choose another spec.secret.name. If it holds this ScimToken's token, as after a restore, label it, and it "
            f"is adopted with its token: kubectl label secret {name} -n {space} --overwrite "
            f"{MANAGED_BY_LABEL}={MANAGED_BY} {TOKEN_LABEL}={token.metadata.name}"
        )
    return (
        f"Secret {name} has the labels of this ScimToken but no owner, and {_doubt(secret, connection)}; it was not "
        "touched. Check first whether its token still works: ask the endpoint with it. If it does, keep the Secret: "
        "choose another spec.secret.name, under which a new token is issued while the old one stays valid. Delete the "
        "Secret only when the endpoint answers 401 and nobody needs what else is in it"
    )


def _doubt(secret: ObservedSecret, connection: Connection) -> str:
    """Why a labelled Secret is not proven."""
    if secret.token is None:
        return "it holds no token"
    if connection.revision != UNKNOWN_REVISION:
        return "the SCIM API does not accept its token for this ScimToken"
    return f"its annotation {TOKENS_ANNOTATION} does not list its token, and the SCIM API knows none of this ScimToken"
