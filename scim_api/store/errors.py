"""What a store raises on purpose; http turns each into one answer."""


class StoreError(Exception):
    """Base of everything a store raises on purpose."""


class Unavailable(StoreError):
    """The database does not answer, is full, or is locked for too long. Nothing was written. -> 503"""


class ReadOnly(Unavailable):
    """The database answers and takes no writes: a standby, or read-only by a setting. -> 503"""


class Conflict(StoreError):
    """A unique key is taken. ``attribute`` is ``userName``, ``externalId``, ``emails`` or, of groups,
    ``displayName``. -> 409
    """

    def __init__(self, attribute: str) -> None:
        super().__init__(attribute)
        self.attribute = attribute


class UnknownMembers(StoreError):
    """A group names members that are no resources of this tenant; ``ids`` holds them. -> 400"""

    def __init__(self, ids: tuple[str, ...]) -> None:
        super().__init__(f"{len(ids)} unknown members")
        self.ids = ids


class NoMembersSelected(StoreError):
    """A path that has to select members of a group selects none; ``path`` is it, as sent. -> 400 noTarget"""

    def __init__(self, path: str) -> None:
        super().__init__("no member is selected")
        self.path = path


class VersionMismatch(StoreError):
    """The resource is no longer at the version that the caller expected. -> 412"""


class RevisionMismatch(StoreError):
    """The connection or webhook is not at the revision that If-Match names. -> 412"""


class TooSlow(StoreError):
    """An unindexed query ran into its deadline. -> 400 tooMany, with the advice to narrow it"""


class SettingsConflict(StoreError):
    """Another connection of the tenant has other settings; ``fields`` names them (camelCase). -> 409"""

    def __init__(self, other: str, fields: tuple[str, ...]) -> None:
        super().__init__(f"{other}: {', '.join(fields)}")
        self.other, self.fields = other, fields


class MatchingImmutable(StoreError):
    """The tenant exists with another ``matching``. -> 409"""


class AccessImmutable(StoreError):
    """The connection is ReadOnly, and stays so. -> 409"""


class CredentialRevoked(StoreError):
    """A listed credential was revoked before and its own time is not over. -> 409"""


class DigestInUse(StoreError):
    """A listed digest belongs to another connection or to another id. -> 409"""


class NamespaceMismatch(StoreError):
    """The tenant belongs to a namespace of this name that is gone, not to this one. -> 409"""


class ClientIdInUse(StoreError):
    """The wanted client id is another connection's. -> 409"""


class TenantPurging(StoreError):
    """The tenant is being deleted; wait until its purge has ended. -> 409"""


class ChangesGone(StoreError):
    """A reader of the feed can't go on where it was; the text says why. -> 410"""


class ReaderRefused(StoreError):
    """A role can't be let in or ended as asked; nothing was changed. The text says what to do."""


class UnknownTenant(StoreError):
    """A webhook's namespace has no tenant of this name. -> 409"""


class WebhookExists(StoreError):
    """There is a webhook of this name. -> 409"""


class TenantImmutable(StoreError):
    """A webhook keeps its tenant. -> 409"""


class SigningSecretNotFound(StoreError):
    """A signing secret is to be kept that the webhook does not have; ``ids`` names those. -> 409"""

    def __init__(self, ids: tuple[str, ...]) -> None:
        super().__init__(f"unknown signing secrets: {', '.join(ids)}")
        self.ids = ids


class TransferRefused(StoreError):
    """A database cannot be copied as asked; nothing was changed. The message says what to do."""
