"""A chat model on loopback that says what a test tells it, piece by piece, and waits in between."""

from __future__ import annotations

import contextlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PATIENCE_S = 60.0


class HeldModel:
    """Speaks OpenAI's streaming protocol.

    Attributes:
        script: Texts to send; an `Event` is waited for before going on.
        asked: Set once a question has come.
        left: Set once whoever asked has hung up.
        for_ever: Go on with words behind the script until then.
    """

    def __init__(self, script: Sequence[str | Event], *, for_ever: bool = False) -> None:
        self.script, self.for_ever = script, for_ever
        self.asked, self.left = Event(), Event()
        self.url = ""


@contextlib.contextmanager
def listening(model: HeldModel) -> Iterator[HeldModel]:
    """Serve a model for the length of a block."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            model.asked.set()
            try:
                for piece in model.script:
                    if isinstance(piece, Event):
                        assert piece.wait(PATIENCE_S)
                    else:
                        self._say(piece)
                while model.for_ever:
                    self._say("and so on ")
                    model.left.wait(0.02)
                self.wfile.write(b"data: [DONE]\n\n")
            except OSError:
                model.left.set()

        def _say(self, text: str) -> None:
            table = {"choices": [{"index": 0, "delta": {"content": text}}]}
            self.wfile.write(f"data: {json.dumps(table)}\n\n".encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    model.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
