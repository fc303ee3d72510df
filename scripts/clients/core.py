"""A client of acceptd's control socket: one file, nothing but Python 3.8 or later.

Generated from acceptd's method table; do not edit.

    from acceptd_client import Acceptd, NotFound

    with Acceptd("/run/acceptd/control.sock") as acceptd:
        for session in acceptd.session_list(user="a*")["sessions"]:
            print(session["id"], session["user"])
        for event in acceptd.events(topics=["session", "auth"]):
            print(event["at"], event["topic"], event["name"])

Results, events and errors are as docs/rpc.md says: dictionaries with the names that they have there. Names and texts are octets, shown as
UTF-8 with \\xNN for the rest; what a result shows can be given back.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from typing import Any, Dict, Generator, List, Optional, Tuple, Type


class AcceptdError(Exception):
    """What acceptd answers in place of a result, or why there is no answer."""

    code = 0
    """Of JSON-RPC; 0 for what is the client's own."""
    retryable = False
    """Whether the same request may succeed later without anybody mending anything."""

    def __init__(self, message: str, code: int = 0, data: Optional[Dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.data: Dict[str, Any] = data or {}
        if code:
            self.code = code
        self.reason: str = self.data.get("reason", type(self).__name__.lower())
        """A word that says more than the code and never changes."""
        self.retryable = bool(self.data.get("retryable", type(self).retryable))

    @property
    def errors(self) -> List[Dict[str, Any]]:
        """What is wrong in control files, where that is why: each with file, line and column."""
        return self.data.get("errors", [])


class Unreachable(AcceptdError):
    """Nobody listens there."""

    retryable = True


class Closed(AcceptdError):
    """The connection ended before the answer: what was asked may have been done."""


class Unanswered(AcceptdError):
    """There was no answer in time: what was asked may have been done."""

    retryable = True


# ERRORS


class _Connection:
    def __init__(self, path: str, timeout: float) -> None:
        self._timeout = timeout
        self._last = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise Unreachable(f"acceptd is not reachable: {path}: {error.strerror or error}") from None
        self._input = self._socket.makefile("rb")

    def request(self, method: str, params: Dict[str, Any]) -> Any:
        self._last += 1
        request = {"jsonrpc": "2.0", "id": self._last, "method": method, "params": params}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            pass  # An answer to a connection that acceptd refuses is still to be read.
        answer = self.read()
        if answer is None:
            raise Closed("acceptd closed the connection")
        if "error" in answer:
            error = answer["error"]
            kind = _ERRORS.get(error["code"], AcceptdError)
            raise kind(error["message"], error["code"], error.get("data"))
        return answer["result"]

    def listen(self) -> None:
        """What comes from now on may take any time."""
        self._socket.settimeout(None)

    def read(self) -> Optional[Dict[str, Any]]:
        """The next line; None: the connection has ended."""
        try:
            line = self._input.readline()
        except socket.timeout:
            raise Unanswered("acceptd did not answer in time") from None
        except (OSError, ValueError):
            return None
        return json.loads(line) if line.endswith(b"\n") else None

    def close(self) -> None:
        """Also ends what another thread waits for."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._input.close()
        self._socket.close()


class Acceptd:
    """The control plane of acceptd. It connects when it is first needed, and again when that connection has ended."""

    def __init__(self, path: Optional[str] = None, *, timeout: float = 60.0, patience: float = 60.0) -> None:
        """
        path: of control.sock, or of status.sock; by default that in ACCEPTD_SOCKET, or /run/acceptd/control.sock.
        timeout: seconds for an answer.
        patience: seconds that events() looks for acceptd again.
        """
        self.path = path or os.environ.get("ACCEPTD_SOCKET") or "/run/acceptd/control.sock"
        self._timeout = timeout
        self._patience = patience
        self._lock = threading.Lock()
        self._connection: Optional[_Connection] = None
        self._streams: List[_Connection] = []

    def __enter__(self) -> Acceptd:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends its connections, and with them what other threads wait for."""
        self._patience = 0.0
        for connection in [self._connection, *self._streams]:
            if connection is not None:
                connection.close()
        self._connection = None
        self._streams = []

    def call(self, method: str, params: Dict[str, Any]) -> Any:
        """A method of which nothing is known here. Calls are answered in turn."""
        with self._lock:
            if self._connection is None:
                self._connection = _Connection(self.path, self._timeout)
            try:
                return self._connection.request(method, params)
            except (Closed, Unanswered):
                self._connection.close()
                self._connection = None
                raise

    def _subscribe(self, method: str, params: Dict[str, Any]) -> Tuple[_Connection, Dict[str, Any]]:
        connection = _Connection(self.path, self._timeout)
        self._streams.append(connection)
        try:
            reply = connection.request(method, params)
        except AcceptdError:
            self._leave(connection)
            raise
        connection.listen()
        return connection, reply

    def _leave(self, connection: _Connection) -> None:
        connection.close()
        if connection in self._streams:
            self._streams.remove(connection)

    def _stream(self, method: str, params: Dict[str, Any], resumes: bool) -> Generator[Dict[str, Any], None, None]:
        """Subscribes now: what happens before the first line is taken is not missed."""
        given = {name: value for name, value in params.items() if value is not None}
        return self._follow(method, given, resumes, *self._subscribe(method, given))

    def _follow(
        self, method: str, params: Dict[str, Any], resumes: bool, connection: _Connection, reply: Dict[str, Any]
    ) -> Generator[Dict[str, Any], None, None]:
        since = params.get("since", reply.get("seq"))
        try:
            while True:
                line = connection.read()
                if line is not None:
                    event = line["params"]
                    since = event["seq"]
                    yield event
                    if event["topic"] == "trace" and event["name"] == "ended":
                        return
                elif connection not in self._streams:
                    return
                elif resumes:
                    self._leave(connection)
                    connection = self._reach(method, {**params, "since": since})
                else:
                    raise Closed("acceptd closed the connection")
        finally:
            self._leave(connection)

    def _reach(self, method: str, params: Dict[str, Any]) -> _Connection:
        """Subscribes again, as soon as somebody answers."""
        until = time.monotonic() + self._patience
        wait = 0.05
        while True:
            time.sleep(wait)
            wait = min(2 * wait, 1.0)
            try:
                return self._subscribe(method, params)[0]
            except AcceptdError as error:
                passes = error.retryable or isinstance(error, Closed)
                if not passes or time.monotonic() > until:
                    raise

    def _call(self, method: str, params: Dict[str, Any]) -> Any:
        return self.call(method, {name: value for name, value in params.items() if value is not None})

    # METHODS
