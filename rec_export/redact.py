"""Secrets do not belong into logs, reports and manifests: credentials in URLs, and what is named like a secret."""

import re

HIDDEN = "***"
CREDENTIALS = re.compile(r"(?<=://)[^\s/@]+@")  # user:password@
QUERY = re.compile(r"(?<=\?)(?=[^\s'\"]*=)[^\s'\"]+(?<![.,;:])")
NAMED = re.compile(
    r"""((?:\bping|key|token|secret|passw(?:or)?d)["']?\s*[:=]\s*)(?!\s)("[^"]*"|'[^']*'|[^\s,;&}]+)""", re.IGNORECASE
)


def redacted(text: str) -> str:
    """The text with `***` for the credentials and the query of every URL, and for values of secrets by name."""
    text = CREDENTIALS.sub(f"{HIDDEN}@", text)
    text = re.sub(r"\w+://\S+", lambda url: QUERY.sub(HIDDEN, url[0]), text)
    return NAMED.sub(lambda found: f"{found[1]}{HIDDEN}", text)
