"""The ports' records."""

from scim_operator.planning.ports import ScimApiRejected, SecretDraft, SecretSnapshot


def test_neither_form_of_a_secret_shows_its_data() -> None:
    data = {"token": "sct_plaintext"}
    snapshot = SecretSnapshot("s", "1", owned=True, data=data, labels={}, annotations={})
    draft = SecretDraft("s", data, {}, {})
    assert "plaintext" not in repr(snapshot) + repr(draft)
    assert "'s'" in repr(snapshot)


def test_a_rejection_reads_as_its_message_in_a_log() -> None:
    assert (
        str(ScimApiRejected("conflict", "another ScimToken has it", ("matching",)))
        == "another ScimToken has it"
    )
