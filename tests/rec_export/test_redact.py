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
        ("check --token CANARY --password CANARY -v", "check --token *** --password *** -v"),
        ("check --db-passwd 'CANARY CANARY' 3", "check --db-passwd *** 3"),
        ("check --token --password CANARY", "check --token --password ***"),
        ('["check", "--api-key", "CANARY", "-v"]', '["check", "--api-key", *** "-v"]'),
        ('curl -H "Authorization: Bearer CANARY" x', 'curl -H "Authorization: Bearer ***" x'),
        ("authorization: basic CANARY", "authorization: basic ***"),
        ("sent Bearer CANARY to it", "sent Bearer *** to it"),
        ("x-api-key: CANARY", "x-api-key: ***"),
        ("https://user:CAN/ARY@host/a is down", "https://***@host/a is down"),
        ("https://u:CAN@ARY@host is down", "https://***@host is down"),
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
        "the key: user_id is missing",
        "a turn-key solution and a secret place",
        "see https://example.com/@me or ops@example.com",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text
