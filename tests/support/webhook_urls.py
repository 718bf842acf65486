"""URLs of receivers, for the CRD, its models and the dispatcher alike."""

from typing import Final

GOOD_URLS: Final = [
    "https://app.example.com",
    "https://app.example.com/",
    "https://app.example.com/scim-events?key=a%20b&x='\"",
    "http://10.0.0.1:8080/hook",
    "https://[2001:db8::1]:65535/[x]",
    "https://xn--bcher-kva.example/~",
]
BAD_URLS: Final = [
    "", "app.example.com", "ftp://app.example.com/", "HTTPS://app.example.com/", "https://", "https:///hook",
    "https://me:secret@app.example.com/", "https://@app.example.com/", "https://app.example.com/#top", "https://a#b",
    "https://app.example.com?x=1", "https://app.example.com/a b", "https://app.example.com/\n", "https://bücher.example/",
    "https://app.example.com/é", "https://app.example.com\\@evil.example/", "https://app.example.com/a\\b",
    "https://app.example.com:0/", "https://app.example.com:65536/", "https://app.example.com:/", "https://app_1.example/",
    " https://app.example.com/",
]  # fmt: skip
