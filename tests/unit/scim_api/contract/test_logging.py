"""No token in a log line, wherever it came from."""

import base64
import io
import json
import logging
import sys
import uuid
from collections.abc import Iterator

import pytest
import structlog

from scim_api.contract import logging as log_setup
from scim_api.contract.tokens import TokenKind, new_token


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    log_setup.configure("debug")
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_one_event_is_one_json_object(lines: io.StringIO) -> None:
    structlog.get_logger("scim_operator.x").info("rotated", key="ns/contoso")
    entry = json.loads(lines.getvalue())
    assert (entry["event"], entry["key"], entry["level"]) == ("rotated", "ns/contoso", "info")


@pytest.mark.parametrize("kind", ["BearerToken", "ClientSecret", "AccessToken"])
@pytest.mark.parametrize("form", ["plain", "base64"])
@pytest.mark.parametrize("place", ["message", "field", "nested", "exception", "library"])
def test_a_token_is_taken_out(lines: io.StringIO, kind: TokenKind, form: str, place: str) -> None:
    token = new_token(kind)
    secret = token if form == "plain" else base64.b64encode(token.encode()).decode()
    log = structlog.get_logger("scim_operator.x")
    match place:
        case "message":
            log.info("got %s", secret)
        case "field":
            log.info("got", value=secret)
        case "nested":
            log.info("got", value={"data": [secret]})
        case "exception":
            try:
                raise ValueError(secret)
            except ValueError:
                log.exception("failed")
        case _:
            logging.getLogger("kopf.x").warning("body %s", secret)
    assert secret not in lines.getvalue()
    assert log_setup.REDACTED in lines.getvalue()


def test_a_traceback_at_a_terminal_shows_no_local_variables(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", lines)
    log_setup.configure("debug")
    local = uuid.uuid4().hex
    try:
        raise ValueError(len(local))
    except ValueError:
        structlog.get_logger("scim_api.x").exception("failed")
    assert "ValueError" in lines.getvalue()
    assert local not in lines.getvalue()


def test_libraries_are_quiet_at_debug(lines: io.StringIO) -> None:
    logging.getLogger("kubernetes.aio.client.rest").debug("response body: whatever")
    logging.getLogger("httpx").info("HTTP Request: PUT")
    assert lines.getvalue() == ""


def test_a_librarys_warning_says_who_when_and_how_bad(lines: io.StringIO) -> None:
    logging.getLogger("kopf.x").warning("look %s", "here")
    entry = json.loads(lines.getvalue())
    assert (entry["event"], entry["logger"], entry["level"]) == ("look here", "kopf.x", "warning")
    assert entry["timestamp"].endswith("Z")
