"""The bounds of what one request may ask for. Each is answered by a clear SCIM error and named in the docs."""

MAX_BODY = 1_048_576
"""Bytes of a request body, and of a stored resource. -> 413"""
MAX_BODY_VALUES = 50_000
"""Objects, arrays and what stands in them, in a body; a group of 20,000 members has 40,000. -> 413"""
MAX_MEMBERS = 200_000
"""Members that the lists of more than some kilobytes name together, in a body of a group. -> 413"""
MAX_EXACT_NUMBERS = 10_000
"""Numbers in a body that the usual parser would change: with a point or an exponent, or of more than 18 digits. -> 413"""
MAX_DEPTH = 16
"""Levels of objects and arrays in a body; a user needs four. -> 400 invalidSyntax"""
MAX_USER_OPERATIONS = 100
"""Operations in a user PATCH. -> 413"""
MAX_GROUP_OPERATIONS = 1000
"""Operations in a group PATCH, which some clients fill with one for each member. -> 413"""
MAX_PATCH_CHANGES = 400
"""Attributes that one PATCH changes, after value objects were taken apart. -> 413"""
MAX_VALUES = 200
"""Entries of one multi-valued attribute. -> 400 invalidValue"""
MAX_INDEX_KEY = 2048
"""Bytes (UTF-8) of a value that an index holds: userName, externalId, work e-mail. -> 400 invalidValue"""
MAX_FILTER = 4096
"""Characters of a filter. -> 400 invalidFilter"""
MAX_PATH = 1024
"""Characters of a PATCH path; each is parsed, and a request may have many. -> 400 invalidPath"""
MAX_FILTER_TERMS = 100
"""Comparisons in one filter. -> 400 invalidFilter"""
MAX_PATH_TERMS = 8
"""Comparisons between the brackets of one PATCH path, each evaluated on every entry. -> 400 invalidFilter"""
MAX_FILTER_DEPTH = 16
"""Nested expressions in one filter. -> 400 invalidFilter"""
MAX_RESULTS = 200
"""Resources on one page of a list; a larger ``count`` gets this many (RFC 7644 section 3.4.2.4)."""
MAX_QUOTED = 100
"""Characters of a client's value that an error may repeat."""
MAX_ATTRIBUTE_NAMES = 8192
"""Characters of ``attributes`` or ``excludedAttributes``. -> 400 invalidValue"""
DEFAULT_RESULTS = 100
"""Resources on a page when the client asks for no number."""
MAX_BULK_OPERATIONS = 1000
"""Operations in a bulk request; its payload is bounded by ``MAX_BODY``. -> 413"""
