"""Secrets are hidden, and what looks a little like one is not."""

import pytest

from rec_export.redact import redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://key:CANARY@bucket/recs", "s3://***@bucket/recs"),
        ("cannot read https://me:CANARY@host:8080/a?b=1.", "cannot read https://***@host:8080/a?***."),
        ("https://host/a?X-Amz-Signature=CANARY&b=2 failed", "https://host/a?*** failed"),
        ("AWS_SECRET_ACCESS_KEY=CANARY", "AWS_SECRET_ACCESS_KEY=***"),
        ("password: CANARY, user: me", "password: ***, user: me"),
        ('{"token": "CANARY", "k": 3}', '{"token": ***, "k": 3}'),
        ("check.sh --api-key=CANARY --day 3", "check.sh --api-key=*** --day 3"),
        ('nightly is {"ping": "https://hc/CANARY"}', 'nightly is {"ping": ***}'),
    ],
)
def test_secrets_are_hidden(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "unknown key 'modle'; did you mean 'model'?",
        "see https://example.com/page for more",
        "/srv/shop@home/recs is a file; 'k' is the key",
        "config.yaml: the key 'k' in line 4 stands in line 3 already; keep one of them",
        "is the input of the same day? 3 of 5",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text
