"""Tell a dead man's switch (healthchecks.io and its kin) that a night begins, and how it ended.

    GET URL/start, then GET URL or POST URL/fail with the reason

It can neither fail nor hold up the job: it is sent beside it, with a time limit. The URL is a secret and is never said.
"""

import logging
from contextvars import copy_context
from http.client import HTTPException
from threading import Thread
from typing import final
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

log = logging.getLogger("rec_export")
SECONDS = 5.0  # for an answer


@final
class Ping:
    """Says `start` when it is made; to nobody, where no URL is named."""

    def __init__(self, url: str | None) -> None:
        self.url = url
        self.started = self.send("/start")

    def ended(self, failure: str | None) -> None:
        """Say how it ended; `failure` is why, or None. Waits for the answer, but not for long."""
        wait_for(self.started)  # so that it cannot arrive last
        wait_for(self.send("" if failure is None else "/fail", failure))

    def send(self, path: str, body: str | None = None) -> Thread | None:
        """Send beside the job."""
        if self.url is None:
            return None
        thread = Thread(target=copy_context().run, args=(request, self.url.rstrip("/") + path, body), daemon=True)
        thread.start()
        return thread


def wait_for(sent: Thread | None) -> None:
    """Let a request end, but not longer than looking up a name should take."""
    if sent is not None:
        sent.join(2 * SECONDS)


def request(url: str, body: str | None) -> None:
    """Send one request; a failure is a warning that names the host alone."""
    try:
        with urlopen(Request(url, None if body is None else body.encode()), timeout=SECONDS):
            pass
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        log.warning("the ping to %s failed: %s", urlsplit(url).hostname, reason)
