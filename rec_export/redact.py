"""Secrets do not belong into logs, reports and manifests: credentials in URLs, and what is named like a secret."""

import re

HIDDEN = "***"
CREDENTIALS = re.compile(r"(?<=://)(?:[^\s/:]*:\S*|[^\s/]*)@")  # user:password@, where a password may hold / and @
QUERY = re.compile(r"(?<=\?)(?=[^\s'\"]*=)[^\s'\"]+(?<![.,;:])")
HEADER = re.compile(r"""((?i:\bAuthorization:\s*(?:(?:Basic|Bearer|Token)\s+)?)|\bBearer\s+)[^\s"']+""")
OPTION = re.compile(  # --token abc, --token=abc, and "--token", "abc" as JSON has it
    r"""((?<![\w-])--?[\w-]*(?:key|token|secret|passw(?:or)?d|passphrase)(?:["']?,?\s+(?!--)|=))"""
    r"""(?:\\?"[^"]*"|'[^']*'|\S)\S*""",
    re.IGNORECASE,
)
NAMED = re.compile(  # `key: x` after a space is a sentence about a key, `api_key: x` is not
    r"""((?:\bping|token|secret|passw(?:or)?d|passphrase|key(?!(?<![\w-]key):\s))["']?\s*[:=]\s*)(?!\s)"""
    r"""("[^"]*"|'[^']*'|[^\s,;&}]+)""",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """The text with `***` for the credentials and the query of every URL, and for values of secrets by name."""
    text = CREDENTIALS.sub(f"{HIDDEN}@", text)
    text = re.sub(r"\w+://\S+", lambda url: QUERY.sub(HIDDEN, url[0]), text)
    for secret in (HEADER, OPTION, NAMED):
        text = secret.sub(lambda found: f"{found[1]}{HIDDEN}", text)
    return text
