"""What others wrote is text on every page, and a part that fails leaves the rest."""

import pytest

from scim_console.model import Denied, Missing, Unreachable
from scim_console.rendering import attempt, environment


def test_every_expression_is_escaped_and_every_direction_written_out() -> None:
    template = environment().from_string('<p title="{{ value }}">{{ value }}</p>')
    assert template.render(value='<script>"\u202e') == (
        '<p title="&lt;script&gt;&#34;\\u202e">&lt;script&gt;&#34;\\u202e</p>'
    )


@pytest.mark.parametrize(
    ("error", "title"),
    [
        (Denied("get on secrets"), "Permission missing"),
        (Missing("x"), "Not found"),
        (Unreachable("y"), "No answer"),
    ],
)
def test_an_error_of_a_source_is_told_with_its_message(error: Exception, title: str) -> None:
    def ask() -> None:
        raise error

    part = attempt(ask)
    assert part.trouble is not None
    assert (part.trouble.title, part.trouble.message) == (title, str(error))


def test_what_is_not_understood_is_told_and_logged_without_what_was_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    read = "sct_secret"

    def ask() -> None:
        raise ValueError(read)

    part = attempt(ask)
    assert part.trouble is not None
    assert "ValueError" in part.trouble.message
    assert "test_rendering.py" in caplog.text
    assert read not in caplog.text + part.trouble.message


def test_what_came_is_the_value() -> None:
    assert (attempt(lambda: 3).value, attempt(lambda: 3).trouble) == (3, None)
