"""Whose a connection of the SCIM API is: this ScimToken's, nobody's yet, or a predecessor's. Pure."""

from scim_api.contract.admin import Connection
from scim_operator.api.scimtoken import ScimToken
from scim_operator.planning.actions import ObservedState
from scim_operator.planning.secret_ownership import is_accepted, is_proven


def belongs_to(connection: Connection, token: ScimToken) -> bool:
    """Whether the API knows the connection as this ScimToken's, or is too old to know whose it is."""
    return connection.owner_uid in (None, token.metadata.uid)


def belongs_to_predecessor(observed: ObservedState) -> bool:
    """Whether the connection is one of an earlier ScimToken of this name, whose tokens end with it.

    A ScimToken that was deleted and made anew while nobody watched has another uid. So has one that was restored
    from a backup: its Secret, with a token that the API accepts, shows that it goes on. The pending token shows it
    as well: during an upgrade an older API may have registered it without saying for whom.
    """
    connection, secret = observed.connection, observed.secret
    if observed.token is None or not connection.owner_uid or belongs_to(connection, observed.token):
        return False
    if observed.keeps_predecessor:
        return False
    goes_on = secret is not None and secret.owned and is_accepted(secret.next_token, connection)
    others = observed.orphaned_secrets.values()  # restored under a name that is no longer wanted
    goes_on = goes_on or any(is_proven(one, connection) for one in (secret, *others) if one is not None)
    return not goes_on


def is_in_same_namespace(observed: ObservedState) -> bool:
    """Whether the connection's tenant belongs to the namespace as it is now, or to none so far: who made it anew has no
    right to what was before.
    """
    return observed.connection.namespace_uid in ("", observed.namespace_uid)
