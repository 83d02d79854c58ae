"""Sessions under watch."""

from __future__ import annotations

import itertools
import queue
import threading
from typing import Any, Dict, Iterable, Iterator, List, Optional

import grpc

from sesior.session.v1 import session_pb2

from ._channels import Channels, pause_before
from ._errors import SesiorError, from_grpc
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


class WatchedSessions:
    """What a watch knows, and what it says to the service; no I/O. Not thread-safe."""

    def __init__(self) -> None:
        self._serial = itertools.count(1)
        self._watched: Dict[int, _Watched] = {}
        self._failures = 0

    def add(self, sessions: Iterable[Ref]) -> List[Any]:
        """The requests that tell of them."""
        ids = []
        for session in sessions:
            watch_id = next(self._serial)
            self._watched[watch_id] = _Watched(session)
            ids.append(watch_id)
        return self._requests(ids)

    def remove(self, sessions: Iterable[Ref]) -> List[Any]:
        gone = {ref_of(session).SerializeToString() for session in sessions}
        ids = [i for i, watched in self._watched.items() if watched.request.SerializeToString() in gone]
        for watch_id in ids:
            del self._watched[watch_id]
        return [session_pb2.WatchSessionsRequest(remove=ids)] if ids else []

    def all(self) -> List[Any]:
        """The requests that begin a stream."""
        return self._requests(list(self._watched))

    def _requests(self, ids: List[int]) -> List[Any]:
        requests = []
        for at in range(0, len(ids), _BATCH):
            request = session_pb2.WatchSessionsRequest()
            for watch_id in ids[at : at + _BATCH]:
                watched = self._watched[watch_id]
                request.add.add(watch_id=watch_id, session=watched.request, known_revision=watched.revision)
            requests.append(request)
        return requests

    def take(self, event: Any) -> Optional[Change]:
        """What an event means for the caller; None: nothing."""
        self._failures = 0
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

    def pause_after(self, failure: Optional[SesiorError]) -> float:
        """Seconds until another stream, after one that failed or (None) ended; raises what does not mend itself."""
        if failure is not None and failure.code in _FATAL:
            raise failure
        self._failures += 1
        return pause_before(self._failures, failure.retry_after if failure else None, _FIRST_PAUSE, _LONGEST_PAUSE)


class Watch:
    """An iterator of changes, for one thread; `add`, `remove` and `close` may be called from any. Each session has one
    "current" or "refused", then "updated" and "touched", at last "ended". Only the newest state of a session waits, at
    the service. A broken stream is opened again, on another replica where there is one: what changed meanwhile comes
    as "updated" or "ended". Ends when closed; raises the SesiorError that does not mend itself."""

    def __init__(self, channels: Channels):
        self._channels = channels
        self._lock = threading.Lock()
        self._watched = WatchedSessions()
        self._requests: Optional["queue.SimpleQueue[Any]"] = None
        self._call: Any = None
        self._closed = threading.Event()
        self._changes = self._run()

    def add(self, *sessions: Ref) -> "Watch":
        with self._lock:
            self._send(self._watched.add(sessions))
        return self

    def remove(self, *sessions: Ref) -> "Watch":
        with self._lock:
            self._send(self._watched.remove(sessions))
        return self

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            self._send([None])
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

    def _send(self, requests: List[Any]) -> None:
        if self._requests is not None:
            for request in requests:
                self._requests.put(request)

    def _open(self) -> Any:
        with self._lock:
            self._send([None])  # half-closes the one before
            self._requests = queue.SimpleQueue()
            self._send(self._watched.all())
            place = self._channels.pick()
            stub = place.stubs["sessions"]
            self._call = stub.WatchSessions(iter(self._requests.get, None), metadata=self._channels.metadata())
            return self._call, place

    def _run(self) -> Iterator[Change]:
        while not self._closed.is_set():
            call, place = self._open()
            failure: Optional[SesiorError] = None
            moved = False
            try:
                for response in call:
                    for event in response.events:
                        with self._lock:
                            change = self._watched.take(event)
                        if change is not None:
                            yield change
                    if response.go_away:
                        moved = True
                        break
            except grpc.RpcError as error:
                if self._closed.is_set():
                    return
                failure = from_grpc(error)
            if moved or failure is not None:
                place.shun()
            if not moved:
                self._closed.wait(self._pause_after(failure))

    def _pause_after(self, failure: Optional[SesiorError]) -> float:
        try:
            return self._watched.pause_after(failure)
        except SesiorError:
            self.close()
            raise
