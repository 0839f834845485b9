"""The server: on this machine's own address alone, for whoever has the token."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.viewing.app import make_app
from lakehouse.viewing.built import FRONT
from lakehouse.viewing.guard import Guard

LOOPBACK = "127.0.0.1"


def serve(
    lake: Lake, *, scratch: Path, port: int, actor: str, tell: Callable[[str], None], first: str | None = None
) -> None:
    """Answer until the process is told to end.

    Args:
        lake: An opened lake.
        scratch: Folder for small pictures, which goes with the process.
        port: Port on 127.0.0.1; 0 takes a free one.
        actor: Who may answer questions, `human:NAME`; "": nothing can be written.
        tell: Called with the address, once it can be opened.
        first: The question that the page will ask first; None: it is not known.

    Raises:
        ConfigError: If the port is taken, `actor` is no person, or the front end was not built.
    """
    with _listening(lake, scratch, port, actor, first) as (server, listening, address):
        tell(address)
        server.run(sockets=[listening])


@contextmanager
def serving(lake: Lake, *, scratch: Path, port: int = 0, actor: str = "") -> Iterator[str]:
    """Answer in a thread of this process, as for a notebook, and yield the address.

    The server asks by an engine of its own: the caller goes on with the lake as if it were not there.

    Raises:
        ConfigError: As `serve`.
    """
    with _listening(lake, scratch, port, actor) as (server, listening, address):
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="petrel-view", daemon=True)
        thread.start()
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _listening(
    lake: Lake, scratch: Path, port: int, actor: str, first: str | None = None
) -> Iterator[tuple[uvicorn.Server, socket.socket, str]]:
    if not (FRONT / "index.html").is_file():
        raise ConfigError(f"{FRONT} has no front end; build it: cd viewer && npm ci && npm run build")
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((LOOPBACK, port))
        except (OSError, OverflowError) as error:
            raise ConfigError(f"port {port} of {LOOPBACK}: {error}; give another with --port") from None
        listening.listen(128)
        port = int(listening.getsockname()[1])
        token = secrets.token_urlsafe(24)
        # An engine is asked by one thread at a time: ours under a lock, and the caller goes on with its own.
        own = lake.beside()
        app = make_app(own, scratch, actor=actor, first=first)
        try:
            guarded = Guard(app, token=token, hosts=[f"{LOOPBACK}:{port}", f"localhost:{port}"])
            settings = uvicorn.Config(
                guarded, log_level="error", access_log=False, lifespan="off", server_header=False,
                timeout_graceful_shutdown=1,
            )
            yield uvicorn.Server(settings), listening, f"http://{LOOPBACK}:{port}/?token={token}"
        finally:
            with app.state.lock:
                own.close()
