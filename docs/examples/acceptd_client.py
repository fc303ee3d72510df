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


class ParseError(AcceptdError):
    """The line is not JSON."""

    code = -32700


class InvalidRequest(AcceptdError):
    """The JSON is not a request of JSON-RPC 2.0."""

    code = -32600


class MethodNotFound(AcceptdError):
    """There is no such method."""

    code = -32601


class InvalidParams(AcceptdError):
    """The parameters do not fit; nothing happened."""

    code = -32602


class InternalError(AcceptdError):
    """A bug of acceptd; the log has the stack."""

    code = -32603


class Permission(AcceptdError):
    """This socket may not ask that."""

    code = -32001


class NotFound(AcceptdError):
    """What the parameters name does not exist."""

    code = -32002


class Busy(AcceptdError):
    """Another change is under way, or too much is asked at once."""

    code = -32003
    retryable = True


class Conflict(AcceptdError):
    """The configuration is no longer the one in ifSha256."""

    code = -32004


class WrongState(AcceptdError):
    """Not possible now, e.g. while stopping."""

    code = -32005


class Timeout(AcceptdError):
    """A lane or the helper did not answer in time."""

    code = -32006
    retryable = True


class NeedsRestart(AcceptdError):
    """Only a restart of acceptd takes these files (data.needsRestart); nothing changed."""

    code = -32008


class ConfigInvalid(AcceptdError):
    """Errors in control files; nothing changed; data.errors has each with file, line and column."""

    code = -32010


class LaneRefused(AcceptdError):
    """A lane refused the generation; all went back."""

    code = -32011
    retryable = True


class Io(AcceptdError):
    """A file could not be read or written."""

    code = -32012
    retryable = True


class HelperUnavailable(AcceptdError):
    """The helper cannot be reached."""

    code = -32013
    retryable = True


_ERRORS: Dict[int, Type[AcceptdError]] = {
    kind.code: kind
    for kind in (
        ParseError,
        InvalidRequest,
        MethodNotFound,
        InvalidParams,
        InternalError,
        Permission,
        NotFound,
        Busy,
        Conflict,
        WrongState,
        Timeout,
        NeedsRestart,
        ConfigInvalid,
        LaneRefused,
        Io,
        HelperUnavailable,
    )
}


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

    def rpc_discover(self) -> Dict[str, Any]:
        """Describes every method as an OpenRPC document.

        Returns {openrpc, methods}.
        """
        return self._call("rpc.discover", {})

    def server_info(self) -> Dict[str, Any]:
        """Describes the running server: version, process, listeners, lanes, helper, and the published configuration.

        Returns {name, version, protocol, pid, started, uptime, listeners, lanes, helper, generation, sha256, draining, level}.
        """
        return self._call("server.info", {})

    def server_ping(self) -> Dict[str, Any]:
        """Replies immediately.

        Returns {pong, now}.
        """
        return self._call("server.ping", {})

    def server_whoami(self) -> Dict[str, Any]:
        """Shows what this connection may do.

        Returns {level, transport, streams}.
        """
        return self._call("server.whoami", {})

    def server_stats(self) -> Dict[str, Any]:
        """Shows every counter and gauge, and percentiles of login, helper, first reply and lane lag, in total and per lane.

        Returns {now, counters, latencies}.
        """
        return self._call("server.stats", {})

    def server_metrics(self) -> Dict[str, Any]:
        """Shows the same as text for Prometheus, like `GET /metrics`.

        Returns {contentType, text}.
        """
        return self._call("server.metrics", {})

    def server_health(self) -> Dict[str, Any]:
        """Checks helper, listeners, programs, certificates, descriptors, lanes and control files; `state` is the worst of them.

        Returns {state, summary, checks}.
        """
        return self._call("server.health", {})

    def server_drain(self, *, reason: Optional[str] = None, dry_run: Optional[bool] = None) -> Dict[str, Any]:
        """Accepts no new sessions and lets the running ones finish, until server.undrain.

        reason: The reason, for the log and for later queries.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {draining, sessions, dryRun}.
        """
        return self._call("server.drain", {"reason": reason, "dryRun": dry_run})

    def server_undrain(self, *, reason: Optional[str] = None, dry_run: Optional[bool] = None) -> Dict[str, Any]:
        """Accepts new sessions again.

        reason: The reason, for the log and for later queries.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {draining, sessions, dryRun}.
        """
        return self._call("server.undrain", {"reason": reason, "dryRun": dry_run})

    def server_upgrade(self, *, reason: Optional[str] = None, dry_run: Optional[bool] = None) -> Dict[str, Any]:
        """Starts a runtime of the installed program on the same sockets; once it serves, the one before finishes its sessions. If it does not, nothing has changed.

        reason: The reason, for the log and for later queries.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {upgraded, version, from, pid, sessions, milliseconds, dryRun}.
        """
        return self._call("server.upgrade", {"reason": reason, "dryRun": dry_run})

    def server_stop(
        self,
        *,
        grace: Optional[float] = None,
        reason: Optional[str] = None,
        dry_run: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Stops acceptd: sessions receive 421 at their next boundary and are cut after `grace` seconds.

        grace: Seconds for running sessions to finish. Default 0.
        reason: The reason, for the log and for later queries.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {stopping, sessions, dryRun}.
        """
        return self._call("server.stop", {"grace": grace, "reason": reason, "dryRun": dry_run})

    def listener_list(self) -> Dict[str, Any]:
        """Lists the bound addresses, with what each serves and has accepted.

        Returns {listeners}.
        """
        return self._call("listener.list", {})

    def listener_pause(
        self,
        listener: str,
        *,
        mode: Optional[str] = None,
        reason: Optional[str] = None,
        ttl: Optional[float] = None,
        fleet: Optional[bool] = None,
        dry_run: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Accepts no new sessions on a listener: clients receive 421, or stay in the backlog; the descriptor stays open.

        listener: Its name.
        mode: 421: accept, reply 421 4.3.2 and close; hold: leave clients in the backlog. One of 421, hold. Default "421".
        reason: The reason, for the log and for later queries.
        ttl: Seconds after which it ends by itself; op.list shows it until then.
        fleet: The listener of this name on every host of the fleet. Default False.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {listener, ends?, hosts?, silentHosts?, dryRun}.
        """
        return self._call("listener.pause", {
            "listener": listener,
            "mode": mode,
            "reason": reason,
            "ttl": ttl,
            "fleet": fleet,
            "dryRun": dry_run,
        })

    def listener_resume(
        self,
        listener: str,
        *,
        reason: Optional[str] = None,
        fleet: Optional[bool] = None,
        dry_run: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Ends a pause.

        listener: Its name.
        reason: The reason, for the log and for later queries.
        fleet: The listener of this name on every host of the fleet. Default False.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {listener, hosts?, silentHosts?, dryRun}.
        """
        return self._call("listener.resume", {"listener": listener, "reason": reason, "fleet": fleet, "dryRun": dry_run})

    def config_get(self, *, name: Optional[str] = None) -> Dict[str, Any]:
        """Shows the knobs in force, each with the source of its value, without secrets.

        name: Only knobs that match this glob.
        Returns {generation, sha256, knobs}.
        """
        return self._call("config.get", {"name": name})

    def config_status(self, *, fleet: Optional[bool] = None) -> Dict[str, Any]:
        """Shows what is published, since when and why, what differs on disk, and the last errors.

        fleet: And what every host of the fleet has published. Default False.
        Returns {generation, sha256, published, by, reason?, rules, sessions, drift, files, lastError?, generations, hosts?}.
        """
        return self._call("config.status", {"fleet": fleet})

    def config_check(self, *, files: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Reads and compiles the control files, or the given texts, and reports every error; changes nothing.

        files: Texts to use instead of the control files of these names; by default those on disk.
        Returns {ok, errors, errorCount, warnings, warningCount, needsRestart, sha256}.
        """
        return self._call("config.check", {"files": files})

    def config_diff(self, *, files: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Shows line by line what a reload of the control files, or of the given texts, would change.

        files: Texts to use instead of the control files of these names; by default those on disk.
        Returns {generation, sha256, files}.
        """
        return self._call("config.diff", {"files": files})

    def config_reload(
        self,
        *,
        only: Optional[List[str]] = None,
        apply: Optional[str] = None,
        if_sha256: Optional[str] = None,
        reason: Optional[str] = None,
        fleet: Optional[bool] = None,
        dry_run: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Reads the control files again and publishes them to all lanes together; an error leaves everything as it was.

        only: Only these files; by default all.
        apply: Which sessions get it: new ones only, or running ones too, at their next transaction. One of new-sessions, next-transaction.
            Default "new-sessions".
        if_sha256: Only if this is still the sha256 of the published configuration.
        reason: The reason, for the log and for later queries.
        fleet: On every host of the fleet, each from its own disk: all publish it, or none does. Default False.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {generation, previous, sha256, unchanged, changed, needsRestart, warnings, rules, lanes, olderSessions, milliseconds,
            dryRun, hosts?, silentHosts?}.
        """
        return self._call("config.reload", {
            "only": only,
            "apply": apply,
            "ifSha256": if_sha256,
            "reason": reason,
            "fleet": fleet,
            "dryRun": dry_run,
        })

    def config_history(self) -> Dict[str, Any]:
        """Lists the kept generations, newest first.

        Returns {generation, sha256, generations}.
        """
        return self._call("config.history", {})

    def config_rollback(
        self,
        *,
        generation: Optional[int] = None,
        apply: Optional[str] = None,
        if_sha256: Optional[str] = None,
        reason: Optional[str] = None,
        dry_run: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Publishes a kept generation again, under a new number.

        generation: A number of config.history; by default the last one that differs from the current one.
        apply: Which sessions get it: new ones only, or running ones too, at their next transaction. One of new-sessions, next-transaction.
            Default "new-sessions".
        if_sha256: Only if this is still the sha256 of the published configuration.
        reason: The reason, for the log and for later queries.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {generation, previous, sha256, unchanged, changed, needsRestart, warnings, rules, lanes, olderSessions, milliseconds,
            dryRun}.
        """
        return self._call("config.rollback", {
            "generation": generation,
            "apply": apply,
            "ifSha256": if_sha256,
            "reason": reason,
            "dryRun": dry_run,
        })

    def config_explain(self, file: str, *, line: Optional[int] = None) -> Dict[str, Any]:
        """Says what a control file or one of its lines does, since when, how often it did, and who uses it.

        file: A control file, by its name or with its path.
        line: One of its lines; to acceptctl also as FILE:LINE.
        Returns {file, line?, kind, name?, text?, does, since, hits?, lastHit?, sessions, filter?, usedBy?, uses, needsRestart, drift}.
        """
        return self._call("config.explain", {"file": file, "line": line})

    def rules_list(self, *, generation: Optional[int] = None) -> Dict[str, Any]:
        """Lists the rules of a generation, with how often each matched and when it last did.

        generation: By default the published one.
        Returns {generation, sha256, rules}.
        """
        return self._call("rules.list", {"generation": generation})

    def rules_eval(
        self,
        event: str,
        *,
        request: Optional[str] = None,
        reply: Optional[str] = None,
        env: Optional[Dict[str, Any]] = None,
        generation: Optional[int] = None,
        text: Optional[str] = None,
    ) -> Dict[str, Any]:
        """Applies the rules to a request and a reply and explains every step, without side effects.

        event: What happened: a verb, greeting, timeout, ...
        request: The line from the client.
        reply: The reply of the backend.
        env: Environment variables of the session.
        generation: Use the rules of this generation; by default the published one.
        text: Use these rules, written as in control/fixsmtpio.
        Returns {request?, reply?, exitcode?, trace}.
        """
        return self._call("rules.eval", {
            "event": event,
            "request": request,
            "reply": reply,
            "env": env,
            "generation": generation,
            "text": text,
        })

    def session_list(
        self,
        *,
        id: Optional[str] = None,
        user: Optional[str] = None,
        ip: Optional[str] = None,
        protocol: Optional[str] = None,
        state: Optional[str] = None,
        listener: Optional[str] = None,
        lane: Optional[int] = None,
        older_than: Optional[float] = None,
        generation: Optional[int] = None,
        tls: Optional[bool] = None,
        fields: Optional[List[str]] = None,
        sort: Optional[str] = None,
        descending: Optional[bool] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        fleet: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Lists the open sessions, in pages.

        id: The session with this id.
        user: Users that match this glob (* and ?; \\* and \\? are the characters themselves).
        ip: Clients at this address or in this CIDR block.
        protocol: Sessions of this protocol. One of smtp, pop3.
        state: Sessions in this state. One of greeting, login, checking, ready, transaction, data, ending.
        listener: Sessions accepted by this listener.
        lane: Sessions in this lane.
        older_than: Sessions accepted at least so many seconds ago.
        generation: Sessions that use this rule generation.
        tls: Sessions with TLS (true) or without (false).
        fields: Only these members; id always comes.
        sort: The order; sessions of equal value come in the order of their ids. One of started, idle, user, ip, bytesIn, bytesOut,
            messages, id. Default "started".
        descending: Reverse the order. Default False.
        limit: Sessions on a page. Default 100.
        cursor: `next` of the previous page.
        fleet: Those of every host of the fleet; an id then begins with the name of its host. Default False.
        Returns {sessions, matched, next?, silentLanes, silentHosts?}.
        """
        return self._call("session.list", {
            "id": id,
            "user": user,
            "ip": ip,
            "protocol": protocol,
            "state": state,
            "listener": listener,
            "lane": lane,
            "olderThan": older_than,
            "generation": generation,
            "tls": tls,
            "fields": fields,
            "sort": sort,
            "descending": descending,
            "limit": limit,
            "cursor": cursor,
            "fleet": fleet,
        })

    def session_get(self, id: str) -> Dict[str, Any]:
        """Shows everything about one session: its last 50 verbs with their replies, and its actors.

        id: The session.
        Returns {id, protocol, state, listener, lane, generation, ip, port, proxy?, tls?, helo?, user?, started, idle, login?, backend?,
            messages, recipients, bytesIn, bytesOut, lastVerb?, verbs, actors}.
        """
        return self._call("session.get", {"id": id})

    def session_kill(
        self,
        *,
        id: Optional[str] = None,
        user: Optional[str] = None,
        ip: Optional[str] = None,
        protocol: Optional[str] = None,
        state: Optional[str] = None,
        listener: Optional[str] = None,
        lane: Optional[int] = None,
        older_than: Optional[float] = None,
        generation: Optional[int] = None,
        tls: Optional[bool] = None,
        all: Optional[bool] = None,
        mode: Optional[str] = None,
        reason: Optional[str] = None,
        fleet: Optional[bool] = None,
        dry_run: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Ends the sessions that match: with 421 at the next boundary, or now.

        id: The session with this id.
        user: Users that match this glob (* and ?; \\* and \\? are the characters themselves).
        ip: Clients at this address or in this CIDR block.
        protocol: Sessions of this protocol. One of smtp, pop3.
        state: Sessions in this state. One of greeting, login, checking, ready, transaction, data, ending.
        listener: Sessions accepted by this listener.
        lane: Sessions in this lane.
        older_than: Sessions accepted at least so many seconds ago.
        generation: Sessions that use this rule generation.
        tls: Sessions with TLS (true) or without (false).
        all: Required to end every session, without a filter. Default False.
        mode: graceful: 421 at the next boundary; now: immediately. One of graceful, now. Default "graceful".
        reason: The reason, for the log and for later queries.
        fleet: On every host of the fleet; an id may begin with the name of a host: mx1/1.2f. Default False.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {matched, killed, ids, silentLanes, hosts?, silentHosts?, dryRun}.
        """
        return self._call("session.kill", {
            "id": id,
            "user": user,
            "ip": ip,
            "protocol": protocol,
            "state": state,
            "listener": listener,
            "lane": lane,
            "olderThan": older_than,
            "generation": generation,
            "tls": tls,
            "all": all,
            "mode": mode,
            "reason": reason,
            "fleet": fleet,
            "dryRun": dry_run,
        })

    def session_trace(
        self,
        *,
        id: Optional[str] = None,
        user: Optional[str] = None,
        ip: Optional[str] = None,
        protocol: Optional[str] = None,
        state: Optional[str] = None,
        listener: Optional[str] = None,
        lane: Optional[int] = None,
        older_than: Optional[float] = None,
        generation: Optional[int] = None,
        tls: Optional[bool] = None,
        only_new: Optional[bool] = None,
        only_one: Optional[bool] = None,
        terse: Optional[bool] = None,
        ttl: Optional[float] = None,
        lines: Optional[int] = None,
    ) -> Generator[Dict[str, Any], None, None]:
        """Streams the verbs and replies of the sessions that match, running ones and those to come, without credentials and bodies.

        id: The session with this id.
        user: Users that match this glob (* and ?; \\* and \\? are the characters themselves).
        ip: Clients at this address or in this CIDR block.
        protocol: Sessions of this protocol. One of smtp, pop3.
        state: Sessions in this state. One of greeting, login, checking, ready, transaction, data, ending.
        listener: Sessions accepted by this listener.
        lane: Sessions in this lane.
        older_than: Sessions accepted at least so many seconds ago.
        generation: Sessions that use this rule generation.
        tls: Sessions with TLS (true) or without (false).
        only_new: Only sessions that are accepted from now on. Default False.
        only_one: Only the first session that says something; it ends with it. Default False.
        terse: Only verbs and codes, as the client says and hears them. Default False.
        ttl: Seconds after which it ends. Default 60.
        lines: Lines after which it ends. Default 1000.
        """
        return self._stream("session.trace", {
            "id": id,
            "user": user,
            "ip": ip,
            "protocol": protocol,
            "state": state,
            "listener": listener,
            "lane": lane,
            "olderThan": older_than,
            "generation": generation,
            "tls": tls,
            "onlyNew": only_new,
            "onlyOne": only_one,
            "terse": terse,
            "ttl": ttl,
            "lines": lines,
        }, False)

    def tls_list(self) -> Dict[str, Any]:
        """Lists the certificates in use, and counts handshakes by version and cipher, and failed ones by reason.

        Returns {certificates, errors, handshakes, resumedShare?, failures, silentLanes}.
        """
        return self._call("tls.list", {})

    def tls_reload(self, *, reason: Optional[str] = None, dry_run: Optional[bool] = None) -> Dict[str, Any]:
        """Reads the files of control/tls again; an error leaves every certificate as it was loaded.

        reason: The reason, for the log and for later queries.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {certificates, dryRun}.
        """
        return self._call("tls.reload", {"reason": reason, "dryRun": dry_run})

    def access_eval(
        self,
        ip: str,
        *,
        host: Optional[str] = None,
        info: Optional[str] = None,
        listener: Optional[str] = None,
    ) -> Dict[str, Any]:
        """Tells whether a client of this address may connect, and which rule of control/access says so.

        ip: An IPv4 or IPv6 address.
        host: Its name, for rules that have one.
        info: Its user, for rules that have one.
        listener: By the access= file of this listener, if it has one.
        Returns {allowed, line?, rule?, variables}.
        """
        return self._call("access.eval", {"ip": ip, "host": host, "info": info, "listener": listener})

    def senders_eval(self, user: str, *, sender: Optional[str] = None) -> Dict[str, Any]:
        """Tells which senders a user may give, and which line of control/senders says so.

        user: As in a login.
        sender: Whether the user may give this one.
        Returns {bound, line?, senders, allowed?, trouble?}.
        """
        return self._call("senders.eval", {"user": user, "sender": sender})

    def certusers_eval(self, name: str) -> Dict[str, Any]:
        """Tells whom a client certificate stands for, and which lines of control/certusers say so.

        name: Of the certificate: ann@example.org, CN=Ann Example or sha256=FINGERPRINT.
        Returns {users}.
        """
        return self._call("certusers.eval", {"name": name})

    def limit_list(self) -> Dict[str, Any]:
        """Lists the lines of control/limits, how full they are, and who is nearest to each.

        Returns {limits}.
        """
        return self._call("limit.list", {})

    def limit_eval(self, ip: str, *, user: Optional[str] = None, listener: Optional[str] = None) -> Dict[str, Any]:
        """Tells which lines of control/limits count a client, and how much of each it has.

        ip: The address of the client.
        user: The user, if the client has logged in.
        listener: The listener; by default none that has a line of its own.
        Returns {limits}.
        """
        return self._call("limit.eval", {"ip": ip, "user": user, "listener": listener})

    def limit_set(
        self,
        limit: str,
        rate: str,
        ttl: float,
        *,
        reason: Optional[str] = None,
        dry_run: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Gives a line of control/limits another rate for a time.

        limit: The name of a line of control/limits.
        rate: Of the kind that the line has, such as 5000/hour or 50; or off.
        ttl: Seconds after which the line has its own rate again.
        reason: The reason, for the log and for later queries.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {limit, rate, ends?, dryRun}.
        """
        return self._call("limit.set", {"limit": limit, "rate": rate, "ttl": ttl, "reason": reason, "dryRun": dry_run})

    def limit_clear(
        self,
        limit: str,
        *,
        subject: Optional[str] = None,
        reason: Optional[str] = None,
        dry_run: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Forgets what a line of control/limits has counted, and ends what limit.set has set.

        limit: The name of a line of control/limits.
        subject: Only what was counted of this one; the rate stays as it is.
        reason: The reason, for the log and for later queries.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {limit, cleared, dryRun}.
        """
        return self._call("limit.clear", {"limit": limit, "subject": subject, "reason": reason, "dryRun": dry_run})

    def penalty_list(self, *, limit: Optional[int] = None) -> Dict[str, Any]:
        """Lists who is delayed or refused for wrong passwords, and until when.

        limit: How many; bans come first. Default 1000.
        Returns {penalties, matched}.
        """
        return self._call("penalty.list", {"limit": limit})

    def penalty_clear(
        self,
        *,
        subject: Optional[str] = None,
        all: Optional[bool] = None,
        reason: Optional[str] = None,
        dry_run: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Ends the delays and bans of a subject, or of all.

        subject: An address, a network or a user, as penalty.list shows it.
        all: Without a subject: those of all. Default False.
        reason: The reason, for the log and for later queries.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {cleared, dryRun}.
        """
        return self._call("penalty.clear", {"subject": subject, "all": all, "reason": reason, "dryRun": dry_run})

    def user_list(self, *, user: Optional[str] = None, limit: Optional[int] = None) -> Dict[str, Any]:
        """Lists users who have sessions or are blocked.

        user: Only users that match this glob.
        limit: Those with most sessions first. Default 1000.
        Returns {users, matched, silentLanes}.
        """
        return self._call("user.list", {"user": user, "limit": limit})

    def user_block(
        self,
        user: str,
        *,
        reason: Optional[str] = None,
        ttl: Optional[float] = None,
        fleet: Optional[bool] = None,
        dry_run: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Refuses further logins of a user and ends their sessions immediately.

        user: The user, exactly.
        reason: The reason, for the log and for later queries.
        ttl: Seconds after which it ends by itself; op.list shows it until then.
        fleet: On every host of the fleet (control/fleet), not on this one alone. Default False.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {user, blocked, ended, ids, ends?, hosts?, silentHosts?, dryRun}.
        """
        return self._call("user.block", {"user": user, "reason": reason, "ttl": ttl, "fleet": fleet, "dryRun": dry_run})

    def user_unblock(
        self,
        user: str,
        *,
        reason: Optional[str] = None,
        fleet: Optional[bool] = None,
        dry_run: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Lets a blocked user log in again.

        user: The user, exactly.
        reason: The reason, for the log and for later queries.
        fleet: On every host of the fleet (control/fleet), not on this one alone. Default False.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {user, blocked, hosts?, silentHosts?, dryRun}.
        """
        return self._call("user.unblock", {"user": user, "reason": reason, "fleet": fleet, "dryRun": dry_run})

    def auth_test(self, user: str, password: str, *, chain: Optional[str] = None, protocol: Optional[str] = None) -> Dict[str, Any]:
        """Runs the real login chain up to the start of the backend and reports how it ended.

        user: The user.
        password: The password; never logged, shown or sent on.
        chain: The chain; by default that of the first listener of the protocol.
        protocol: The protocol. One of smtp, pop3. Default "smtp".
        Returns {verdict, chain, uid?, gid?, milliseconds}.
        """
        return self._call("auth.test", {"user": user, "password": password, "chain": chain, "protocol": protocol})

    def lane_list(self) -> Dict[str, Any]:
        """Lists the worker threads with their sessions, memory, lag and deaths.

        Returns {lanes}.
        """
        return self._call("lane.list", {})

    def lane_recycle(
        self,
        *,
        lane: Optional[int] = None,
        all: Optional[bool] = None,
        reason: Optional[str] = None,
        dry_run: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Replaces a lane, or all one after the other: a new one accepts sessions, the old one finishes its own.

        lane: Its number.
        all: Every lane. Default False.
        reason: The reason, for the log and for later queries.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {lane?, sessions, recycled, dryRun}.
        """
        return self._call("lane.recycle", {"lane": lane, "all": all, "reason": reason, "dryRun": dry_run})

    def backend_list(self) -> Dict[str, Any]:
        """Lists the chains that a login can run.

        Returns {backends}.
        """
        return self._call("backend.list", {})

    def backend_probe(self, *, chain: Optional[str] = None) -> Dict[str, Any]:
        """Runs a backend and says what control/smtpcapabilities must change to offer what it does.

        chain: A chain of kind probe or guest; by default the first of kind probe.
        Returns {chain, greeting, backend, offered, advice}.
        """
        return self._call("backend.probe", {"chain": chain})

    def log_get(self) -> Dict[str, Any]:
        """Shows the log level of each component.

        Returns {levels}.
        """
        return self._call("log.get", {})

    def log_set(
        self,
        component: str,
        level: str,
        *,
        reason: Optional[str] = None,
        ttl: Optional[float] = None,
        dry_run: Optional[bool] = None,
    ) -> Dict[str, Any]:
        """Changes the log level of a component, permanently or for a limited time.

        component: One of log.get.
        level: The new level. One of error, warn, info, debug.
        reason: The reason, for the log and for later queries.
        ttl: Seconds after which it ends by itself; op.list shows it until then.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {component, level, previous, ends?, dryRun}.
        """
        return self._call("log.set", {"component": component, "level": level, "reason": reason, "ttl": ttl, "dryRun": dry_run})

    def log_errors(self, *, since: Optional[str] = None, level: Optional[str] = None, limit: Optional[int] = None) -> Dict[str, Any]:
        """Shows the last 1000 warnings and errors, also of runtimes that have died, the oldest first, whatever the log level.

        since: Only those from this time on; to acceptctl also 30s, 10m, 2h or 1d ago.
        level: error: no warnings. One of error, warn. Default "warn".
        limit: How many; the newest. Default 1000.
        Returns {errors, matched, since}.
        """
        return self._call("log.errors", {"since": since, "level": level, "limit": limit})

    def events(
        self,
        *,
        topics: Optional[List[str]] = None,
        since: Optional[int] = None,
        id: Optional[str] = None,
        user: Optional[str] = None,
        ip: Optional[str] = None,
        protocol: Optional[str] = None,
        state: Optional[str] = None,
        listener: Optional[str] = None,
        lane: Optional[int] = None,
        older_than: Optional[float] = None,
        generation: Optional[int] = None,
        tls: Optional[bool] = None,
    ) -> Generator[Dict[str, Any], None, None]:
        """Streams events as notifications named `event`, numbered; a reader that is too slow misses some and learns how many.

        topics: The topics; by default all. Default ["session","auth","message","config","rules","limit","tls","lane","helper","op"].
        since: `seq` of the last event that was seen: those after it come first, of the last 10,000.
        id: The session with this id.
        user: Users that match this glob (* and ?; \\* and \\? are the characters themselves).
        ip: Clients at this address or in this CIDR block.
        protocol: Sessions of this protocol. One of smtp, pop3.
        state: Sessions in this state. One of greeting, login, checking, ready, transaction, data, ending.
        listener: Sessions accepted by this listener.
        lane: Sessions in this lane.
        older_than: Sessions accepted at least so many seconds ago.
        generation: Sessions that use this rule generation.
        tls: Sessions with TLS (true) or without (false).
        """
        return self._stream("event.subscribe", {
            "topics": topics,
            "since": since,
            "id": id,
            "user": user,
            "ip": ip,
            "protocol": protocol,
            "state": state,
            "listener": listener,
            "lane": lane,
            "olderThan": older_than,
            "generation": generation,
            "tls": tls,
        }, True)

    def op_list(self) -> Dict[str, Any]:
        """Lists the changes that are in force for a limited time.

        Returns {operations}.
        """
        return self._call("op.list", {})

    def op_cancel(self, id: str, *, reason: Optional[str] = None, dry_run: Optional[bool] = None) -> Dict[str, Any]:
        """Ends one of them now.

        id: Its id.
        reason: The reason, for the log and for later queries.
        dry_run: Report what would happen and change nothing. Default False.
        Returns {operation, dryRun}.
        """
        return self._call("op.cancel", {"id": id, "reason": reason, "dryRun": dry_run})
