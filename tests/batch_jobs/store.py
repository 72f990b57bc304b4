"""An S3 server of its own process on loopback (moto's), and a proxy before it that forgets conditions.

Another server that keeps to conditions takes moto's place where the variable TEST_STORE_URL names it. It is LocalStack,
say, which was begun by `SERVICES=s3 GATEWAY_LISTEN=127.0.0.1:4566 python -m localstack.runtime.main`.
"""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from unittest.mock import patch
from uuid import uuid4

CANARY = "CANARY0SECRET0KEY"
CONDITIONS = "If-None-Match", "If-Match"


@contextmanager
def store() -> Iterator[str]:
    """The server's URL; in the block it is the store of this process and those that it starts."""
    with server() as url:
        said = {
            "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": f"{CANARY}ID", "AWS_SECRET_ACCESS_KEY": CANARY,
            "AWS_REGION": "us-east-1",
        }  # fmt: skip
        with patch.dict(os.environ, said):
            yield url


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server that is up in the block."""
    if "TEST_STORE_URL" in os.environ:
        yield os.environ["TEST_STORE_URL"]
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    moto = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        moto.terminate()
        moto.wait()


def wait_for(port: int) -> None:
    """Until the server answers."""
    for _ in range(1200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise TimeoutError("moto's server does not answer")


def new_bucket(url: str) -> str:
    """A bucket of a new name, and a prefix in it."""
    name = f"lists-{uuid4().hex}"
    make_bucket(url, name)
    return f"s3://{name}/shop/recs"


def make_bucket(url: str, name: str) -> None:
    """A bucket."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    connection.request("PUT", f"/{name}")
    assert connection.getresponse().status == 200
    connection.close()


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Another server that is the store of this process in the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            with patch.dict(os.environ, {"AWS_ENDPOINT_URL": url}):
                yield url
        finally:
            server.shutdown()
            thread.join()


class Silent(BaseHTTPRequestHandler):
    """Writes no log."""

    def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *anything: object) -> None:
        """Not here."""


class Refusing(Silent):
    """Knows nobody, and says more of who asked than it should, as stores do."""

    def do_GET(self) -> None:
        """Every request."""
        told = f"<AWSAccessKeyId>{CANARY}ID</AWSAccessKeyId>"
        self.answer(403, f"<Error><Code>SignatureDoesNotMatch</Code>{told}</Error>".encode(), {})

    do_PUT = do_GET  # noqa: N815 http.server calls it so


@contextmanager
def forgetful(url: str, dropped: str) -> Iterator[str]:
    """A proxy that passes everything on but one header of a condition."""

    class Handler(Silent):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() != dropped.lower()}
            behind = http.client.HTTPConnection(url.removeprefix("http://"))
            behind.request(self.command, self.path, self.rfile.read(size), headers)
            told = behind.getresponse()
            own = "transfer-encoding", "content-length", "connection"
            headers = {name: value for name, value in told.getheaders() if name.lower() not in own}
            self.answer(told.status, told.read(), headers)
            behind.close()

        do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 http.server calls it so

    with listening(Handler) as proxy:
        yield proxy
