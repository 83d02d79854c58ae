"""Sessions under watch."""

from __future__ import annotations

import itertools
import queue
import threading
from typing import Any, Dict, Iterator, List, Optional

import grpc

from sesior.session.v1 import session_pb2

from ._channels import Channels, pause_before
from ._errors import from_grpc
from ._messages import Change, Ref, ref_of, session_of, word_of

_FATAL = {"PERMISSION_DENIED", "UNAUTHENTICATED", "INVALID_ARGUMENT", "UNIMPLEMENTED"}
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_BATCH = 1000


class _Watched:
    def __init__(self, ref: Ref):
        self.ref = ref
        self.request = ref_of(ref)
        self.revision = 0
        self.answered = False


class Watch:
    """An iterator of changes, for one thread; `add`, `remove` and `close` may be called from any. Each session has one
    "current" or "refused", then "updated" and "touched", at last "ended". Only the newest state of a session waits, at
    the service. A broken stream is opened again, on another replica where there is one: what changed meanwhile comes
    as "updated" or "ended". Ends when closed; raises the SesiorError that does not mend itself."""

    def __init__(self, channels: Channels):
        self._channels = channels
        self._lock = threading.Lock()
        self._serial = itertools.count(1)
        self._watched: Dict[int, _Watched] = {}
        self._requests: Optional["queue.SimpleQueue[Any]"] = None
        self._call: Any = None
        self._closed = threading.Event()
        self._changes = self._run()

    def add(self, *sessions: Ref) -> "Watch":
        with self._lock:
            ids = []
            for session in sessions:
                watch_id = next(self._serial)
                self._watched[watch_id] = _Watched(session)
                ids.append(watch_id)
            if self._requests is not None:
                self._send(ids)
        return self

    def remove(self, *sessions: Ref) -> "Watch":
        gone = {ref_of(session).SerializeToString() for session in sessions}
        with self._lock:
            ids = [i for i, watched in self._watched.items() if watched.request.SerializeToString() in gone]
            for watch_id in ids:
                del self._watched[watch_id]
            if ids and self._requests is not None:
                self._requests.put(session_pb2.WatchSessionsRequest(remove=ids))
        return self

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            if self._requests is not None:
                self._requests.put(None)
            if self._call is not None:
                self._call.cancel()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Change]:
        return self

    def __next__(self) -> Change:
        return next(self._changes)

    def _send(self, ids: List[int]) -> None:
        for at in range(0, len(ids), _BATCH):
            request = session_pb2.WatchSessionsRequest()
            for watch_id in ids[at : at + _BATCH]:
                watched = self._watched[watch_id]
                request.add.add(watch_id=watch_id, session=watched.request, known_revision=watched.revision)
            self._requests.put(request)

    def _open(self) -> Any:
        with self._lock:
            requests: "queue.SimpleQueue[Any]" = queue.SimpleQueue()
            if self._requests is not None:
                self._requests.put(None)  # half-closes the one before
            self._requests = requests
            self._send(list(self._watched))
            self._call, place = self._channels.stream("sessions", "WatchSessions", iter(requests.get, None))
            return self._call, place

    def _run(self) -> Iterator[Change]:
        failures = 0
        while not self._closed.is_set():
            call, place = self._open()
            advised = None
            moved = False
            try:
                for response in call:
                    failures = 0
                    for event in response.events:
                        change = self._take(event)
                        if change is not None:
                            yield change
                    if response.go_away:
                        self._channels.shun(place)
                        moved = True
                        break
                if moved:
                    continue
            except grpc.RpcError as error:
                if self._closed.is_set():
                    return
                failure = from_grpc(error)
                if failure.code in _FATAL:
                    self.close()
                    raise failure from error
                self._channels.shun(place)
                advised = failure.retry_after
            failures += 1
            self._closed.wait(pause_before(failures, advised, _FIRST_PAUSE, _LONGEST_PAUSE))

    def _take(self, event: Any) -> Optional[Change]:
        with self._lock:
            watched = self._watched.get(event.watch_id)
            if watched is None:
                return None
            kind = word_of(session_pb2.WatchEventKind, event.kind, "WATCH_EVENT_KIND_")
            session = session_of(event.session) if event.HasField("session") else None
            if kind == "current" and watched.answered:
                if session is None or session.revision == watched.revision:
                    return None  # nothing has changed while the stream was away
                kind = "updated"
            if kind == "refused" and watched.answered:
                kind = "ended"
            if session is not None and session.revision < watched.revision:
                return None  # an older replica answered
            watched.answered = True
            if session is not None:
                watched.revision = session.revision
            if kind in ("ended", "refused"):
                del self._watched[event.watch_id]
        return Change(
            kind=kind,
            ref=watched.ref,
            session=session,
            reason=word_of(session_pb2.EndReason, event.reason, "END_REASON_") if kind == "ended" else "",
            verdict=word_of(session_pb2.CookieVerdict, event.verdict, "COOKIE_VERDICT_") if kind == "refused" else "",
        )
