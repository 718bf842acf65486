"""How Microsoft refuses: Graph's errors, and those of its login (AADSTS)."""

from typing import Any, Final

_ABSENT: Final = "does not exist or one of its queried reference-property objects are not present."


class GraphError(Exception):
    """An answer of Graph that is none of success.

    Args:
        status: of HTTP.
        code: ``error.code``.
        message: ``error.message``, often empty.
        retry_after: seconds, for the header of this name.
    """

    def __init__(self, status: int, code: str, message: str = "", retry_after: int | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message, self.retry_after = status, code, message, retry_after

    def body(self, date: str, request_id: str, client_request_id: str) -> dict[str, Any]:
        """The answer's body."""
        inner = {"date": date, "request-id": request_id, "client-request-id": client_request_id}
        return {"error": {"code": self.code, "message": self.message, "innerError": inner}}


def missing_right(status: int = 401) -> GraphError:
    """What the synchronization API says to a caller without the right: 401 and nothing."""
    if status == 401:
        return GraphError(401, "UnknownError")
    return GraphError(
        403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
    )


def not_found(what: str) -> GraphError:
    """What the directory says about an id that it lacks, and to an app id in the place of an object id."""
    return GraphError(404, "Request_ResourceNotFound", f"Resource '{what}' {_ABSENT}")


def bad_request(message: str, code: str = "BadRequest") -> GraphError:
    """400."""
    return GraphError(400, code, message)


class SignInError(Exception):
    """A refusal of the token endpoint.

    Args:
        code: the number after ``AADSTS``.
        description: what follows it.
        error: RFC 6749's code.
        status: of HTTP.
        retry_after: seconds, for the header of this name.
    """

    def __init__(
        self,
        code: int,
        description: str,
        error: str = "invalid_client",
        status: int | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(f"AADSTS{code}: {description}")
        self.code, self.description, self.error = code, description, error
        self.retry_after = retry_after
        self.status = status or (401 if error == "invalid_client" else 400)

    def body(self, timestamp: str, trace_id: str, correlation_id: str) -> dict[str, Any]:
        """The answer's body."""
        end = f"Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {timestamp}"
        return {
            "error": self.error,
            "error_description": f"AADSTS{self.code}: {self.description} {end}",
            "error_codes": [self.code],
            "timestamp": timestamp,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.code}",
        }
