"""What can go wrong in a conversation, from Entra's point of view."""


class EntraError(Exception):
    """Base of all that a conversation with the service can end in."""


class Finding(EntraError):
    """The service answered something that Entra would not take, or that RFC 7644 forbids.

    The message says to what, and what is wrong.

    Attributes:
        status: the HTTP status of that answer.
    """

    def __init__(self, request: str, status: int, wrong: str) -> None:
        super().__init__(f"{request} answered {status}: {wrong}")
        self.status = status


class Unreachable(EntraError):
    """No answer came at all."""


class Rejected(EntraError):
    """The service refused a request with a well-formed SCIM error.

    Attributes:
        status: the HTTP status.
        scim_type: RFC 7644 section 3.12, such as ``uniqueness``; empty when there is none.
        detail: what the service says about it.
    """

    def __init__(self, request: str, status: int, scim_type: str, detail: str) -> None:
        super().__init__(f"{request} answered {status} {scim_type}: {detail}")
        self.status, self.scim_type, self.detail = status, scim_type, detail
