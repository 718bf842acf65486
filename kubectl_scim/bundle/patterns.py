"""What must not be in a support archive, by its form: secrets, credentials in URLs and headers, e-mail addresses, names.

Texts may be JSON in JSON in a log line, or percent-encoded in a URL, so each pattern allows for escapes. Pure.
"""

import re
from collections.abc import Sequence
from typing import Final

TOKEN: Final = re.compile(r"sc[tsa]_[0-9A-Za-z]{49}")
"""Our credentials (``scim_api.contract.tokens``)."""
_PERCENT: Final = "%(?:25)*"
"""Before the digits of a percent-encoded character, encoded once or more often."""
BEHIND_CODED: Final = r"(?:(?<=%[0-9a-fA-F]{2})|(?<=%25[0-9a-fA-F]{2})|(?<=2525[0-9a-fA-F]{2})|(?<=\\u[0-9a-fA-F]{4})|(?<=\\[nrtbf]))"
"""Where a word begins though a letter or a digit goes before it: that is the end of an encoded character."""
_QUOTE: Final = rf"(?:\\*[\"']|{_PERCENT}2[27])"
_SPACE: Final = rf"(?:\s|\+|{_PERCENT}20)"
_QUOTED: Final = rf"(?P<q>{_QUOTE})(?!(?P=q))(?:[^\r\n]+?(?<!\\)(?=(?P=q))|[^\r\n]+)"
"""A value up to the quote that it began with, or without such a one to the end of the line."""
_BASE64: Final = rf"(?:[0-9A-Za-z+/=_-]|{_PERCENT}(?:2[bBfF]|3[dD])|\\+(?:/|u00(?:2[bBfF]|3[dD])))"
"""A character of base64, as it is or as JSON and URLs have it."""
_SETTING: Final = (
    r"(?:pass(?:word|wd|phrase)?|[a-z0-9_-]{1,40}?pass(?:word|wd|phrase)|pwd|(?:[a-z0-9_-]{1,40}?[_-])?client[_-]?secret|(?:access|refresh|id|bearer|auth)[_-]?token|api[_-]?key|private[_-]?key|"
    r"(?:client[_-]?)?assertion|signature|sig|cookie|set-cookie)"
)
SECRETS: Final[Sequence[tuple[str, re.Pattern[str]]]] = (
    (
        "private key or certificate",
        re.compile(r"-----BEGIN[^-]{1,60}-----.*?(?:-----END[^-]{1,60}-----|\Z)", re.DOTALL),
    ),
    ("token of this SCIM API", re.compile(r"sc[tsa]_[0-9A-Za-z]{20,}")),
    ("signing secret", re.compile(rf"wh(?:sec|sk|pk)_{_BASE64}{{8,}}")),
    ("JSON Web Token", re.compile(rf"eyJ[0-9A-Za-z_-]{{4,}}(?:(?:\.|{_PERCENT}2[eE])[0-9A-Za-z_-]*){{1,4}}")),
    (
        "Authorization header",
        re.compile(
            rf"(?:proxy-)?authorization{_QUOTE}?{_SPACE}*(?:[:=,]|{_PERCENT}3[aAdD])\s*\[?\s*(?:b?{_QUOTE})?(?:Digest\b[^\r\n]+|[^\r\n\"'\\,;}}\]]+)",
            re.IGNORECASE,
        ),
    ),
    (
        "Authorization header",
        re.compile(
            rf"(?:\b|{BEHIND_CODED})(?i:bearer|basic|negotiate){_SPACE}+(?=[a-z]*[0-9A-Z+/=._~%-])[0-9A-Za-z+/=._~%-]{{8,}}"
        ),
    ),
    (
        "Cookie header",
        re.compile(
            rf"(?:(?<![a-z0-9])|{BEHIND_CODED})(?:set-)?cookie{_QUOTE}?\s*(?:[:=]|{_PERCENT}3[aAdD])\s*(?:{_QUOTED}|[^\r\n\"']+)",
            re.IGNORECASE,
        ),
    ),
    ("credentials in a URL", re.compile(r"(?<=://)[^\s/\"'@?#]*:[^\s/\"'?#]*@(?=[\w.\[-])")),
    (
        "value of a secret setting",
        re.compile(
            rf"(?:(?<![a-z0-9])|{BEHIND_CODED}){_SETTING}{_QUOTE}?\s*(?:[:=]|{_PERCENT}3[aAdD])\s*(?:{_QUOTED}|(?:[^\s\"'&,;{{}}\[\]]|,(?=[^\s\"',;]))+)",
            re.IGNORECASE,
        ),
    ),
)
"""What each is called, and how it looks."""
_ESCAPED: Final = r"\\+u[0-9a-fA-F]{4}"
_CODED: Final = r"%(?!20|22|27|2[cCfF6]|3[a-fA-F]|40)[0-9a-fA-F]{2}|%(?![0-9a-fA-F]{2})"
"""Percent-encoded characters that do not end an address."""
_ATOM: Final = rf"(?:{_ESCAPED}|{_CODED}|[^\s\"'`<>()\[\]{{}}\\,;:|/=&?@%])"
EMAIL: Final = re.compile(
    rf"(?<!%)(?<!%[0-9a-fA-F])(?<!\\(?=[nrtbf]))(?:\\*\"[^\"\n{{}}\[\],:\\]{{1,64}}\\*\"|{_ATOM}{{1,256}})(?:@|{_PERCENT}40|\\+u0040)(?!sha(?:256|512):){_ATOM}{{0,255}}(?:{_ESCAPED}|{_CODED}|\w)"
)
"""With or without a dot in the domain; ``repository@sha256:...`` is an image."""
EMAIL_STEMS: Final = ("@", "%40", "2540", "u0040")
"""A line without any of them has none: most have not, and this is quickly seen."""
_NAME_KEYS: Final = (
    r"(?:user[_-]?name|display[_-]?name|given[_-]?name|family[_-]?name|middle[_-]?name|nick[_-]?name|formatted|external[_-]?id|"
    r"user[_-]?principal[_-]?name|upn|mail[_-]?nickname|e?mails?|preferred[_-]?username|phone[_-]?numbers?|full[_-]?name)"
)
_PATH: Final = rf"(?:(?:\[|{_PERCENT}5[bB])[^\]\n]{{0,120}}?(?:\]|{_PERCENT}5[dD]))?(?:\.\w{{1,40}})?"
"""What may stand behind an attribute in a filter: ``[type eq "work"].value``."""
_END: Final = r"[^\s\"'&,;{}\\]"
_INNER: Final = r"[^\s\"&,;{}\\]"
"""Characters of a value without quotes; it does not begin nor end with an apostrophe."""
NAME_STEMS: Final = ("name", "formatted", "external", "upn", "mail", "phone", "user ")
"""Likewise, in lower case."""
NAMES: Final[Sequence[re.Pattern[str]]] = (
    re.compile(
        rf"(?P<q>\\*[\"']){_NAME_KEYS}(?P=q)\s*:\s*(?P=q)(?P<value>[^\n]*?)(?<!\\)(?P=q)", re.IGNORECASE
    ),
    re.compile(
        rf"(?:\b|{BEHIND_CODED}){_NAME_KEYS}{_PATH}{_SPACE}+(?:eq|ne|co|sw|ew|gt|ge|lt|le){_SPACE}+(?P<q>\\*\"|{_PERCENT}22)(?P<value>[^\n]*?)(?<!\\)(?P=q)",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?:(?<![\w-])|{BEHIND_CODED}){_NAME_KEYS}(?:=|:\s+)\\*(?P<q>[\"'])(?P<value>[^\n]*?)(?P=q)",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?:(?<![\w-])|{BEHIND_CODED}){_NAME_KEYS}=(?P<value>{_END}(?:{_INNER}*{_END})?)", re.IGNORECASE
    ),
    re.compile(
        rf"(?:(?<![\w-])|{BEHIND_CODED}){_NAME_KEYS}:[ \t]+(?P<value>[^\s\"'\\][^\n\"',;{{}}\\]*)",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?P<q>{_PERCENT}2[27]){_NAME_KEYS}(?P=q){_SPACE}*(?::|{_PERCENT}3[aA]){_SPACE}*(?P=q)(?P<value>[^\n]*?)(?P=q)",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?:(?<![\w-])|{BEHIND_CODED}){_NAME_KEYS}{_PERCENT}3[dD](?P<value>(?:(?!{_PERCENT}(?:2[0267cC]|3[bB]))[^\s\"'&,;{{}}\\])+)",
        re.IGNORECASE,
    ),
    re.compile(r"\bUser (?P<q>\\*\")(?!system:)(?P<value>[^\n]*?)(?<!\\)(?P=q)"),
)
"""Where what names a person stands: JSON, SCIM filters, settings of a log line, and whom Kubernetes refuses."""
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RANDOM_LENGTH: Final = 32
RANDOM: Final = re.compile(rf"[0-9A-Za-z+/_-]{{{_RANDOM_LENGTH},}}")
"""May be a secret of a form that nobody has foreseen, see ``is_random``."""


def is_random(text: str) -> bool:
    """Whether what ``RANDOM`` has found is no name, id or digest, which are written in one case or have few digits."""
    text = _UUID.sub("", text)
    return (
        len(text) >= _RANDOM_LENGTH
        and any(one.isupper() for one in text)
        and any(one.islower() for one in text)
        and sum(one.isdigit() for one in text) >= 3
    )
