"""The client for asyncio: the calls of sesior.Sesior, awaited, and watches with `async for`.

    async with sesior.aio.Sesior(["10.0.0.1:7100"]) as sesior:
        found = await sesior.resolve_cookie(request.headers.get("Cookie"))
        async for change in sesior.watch(found.session.id):
            ...
"""

from __future__ import annotations

import asyncio
import weakref
from datetime import timedelta
from typing import Any, AsyncGenerator, AsyncIterator, Dict, Iterable, List, Optional, Sequence, Tuple, TypeVar, Union

import grpc
import grpc.aio

from . import _calls
from ._calls import Call, Claims, Json
from ._channels import Attempt, Place, Places, Tls, Token, listed
from ._errors import SesiorError, from_grpc
from ._messages import Change, ListedSession, Online, Ref, Resolved, Session, Written
from ._watch import WatchedSessions

T = TypeVar("T")


class _Channels(Places):
    def __init__(self, addresses: Sequence[str], tls: Optional[Tls], token: Token, timeout: float, max_tries: int):
        super().__init__(grpc.aio, addresses, tls, token, timeout, max_tries)

    async def run(self, call: Call[T], timeout: Optional[float] = None) -> T:
        attempt = Attempt(self, call, timeout)
        while True:
            try:
                return call.read(await attempt.begin())
            except grpc.RpcError as error:
                await asyncio.sleep(attempt.pause_after(error))

    async def health(self, timeout: Optional[float] = None) -> Dict[str, bool]:
        async def ask(place: Place) -> bool:
            try:
                return await place.check(None, timeout=self.timeout if timeout is None else timeout, metadata=self.metadata())
            except grpc.RpcError:
                return False

        answers = await asyncio.gather(*(ask(place) for place in self.all))
        return {place.address: serving for place, serving in zip(self.all, answers)}

    async def close(self) -> None:
        await asyncio.gather(*(place.channel.close() for place in self.all))


class Watch:
    """An asynchronous iterator of changes, for one task; as sesior.Watch. `add`, `remove` and `close` never wait; they are
    for the loop's own thread."""

    def __init__(self, channels: _Channels):
        self._channels = channels
        self._watched = WatchedSessions()
        self._requests: "Optional[asyncio.Queue[Any]]" = None
        self._closed = asyncio.Event()
        self._changes = self._run()

    def add(self, *sessions: Ref) -> "Watch":
        self._send(self._watched.add(sessions))
        return self

    def remove(self, *sessions: Ref) -> "Watch":
        self._send(self._watched.remove(sessions))
        return self

    def close(self) -> None:
        self._closed.set()

    async def __aenter__(self) -> "Watch":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        await self._changes.aclose()

    def __aiter__(self) -> AsyncIterator[Change]:
        return self

    async def __anext__(self) -> Change:
        return await self._changes.__anext__()

    def _send(self, requests: List[Any]) -> None:
        if self._requests is not None:
            for request in requests:
                self._requests.put_nowait(request)

    async def _run(self) -> AsyncGenerator[Change, None]:
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            while not closed.done():
                place = self._channels.pick()
                requests: "asyncio.Queue[Any]" = asyncio.Queue()
                self._requests = requests
                self._send(self._watched.all())
                call = place.stubs["sessions"].WatchSessions(_until_none(requests), metadata=self._channels.metadata())
                failure: Optional[SesiorError] = None
                moved = False
                try:
                    while not moved:
                        response = await self._next(call, closed)
                        if response is None:
                            return
                        if response is grpc.aio.EOF:
                            break
                        for event in response.events:
                            change = self._watched.take(event)
                            if change is not None:
                                yield change
                        moved = response.go_away
                except grpc.RpcError as error:
                    failure = from_grpc(error)
                finally:
                    self._requests = None
                    requests.put_nowait(None)  # a call that has failed leaves its reader of requests waiting
                    call.cancel()
                if moved or failure is not None:
                    place.shun()
                if not moved:
                    await asyncio.wait({closed}, timeout=self._watched.pause_after(failure))
        finally:
            closed.cancel()
            self._closed.set()

    async def _next(self, call: Any, closed: "asyncio.Future[Any]") -> Any:
        """The stream's next response; None once the watch is closed."""
        reading = asyncio.ensure_future(call.read())
        try:
            await asyncio.wait({reading, closed}, return_when=asyncio.FIRST_COMPLETED)
            return None if self._closed.is_set() else reading.result()
        finally:
            reading.cancel()


async def _until_none(requests: "asyncio.Queue[Any]") -> AsyncIterator[Any]:
    while (request := await requests.get()) is not None:
        yield request


class Sesior:
    """For one event loop, which runs when it is made. Every call raises SesiorError; UNAVAILABLE is retried, nothing
    else, and never means "logged out". `timeout`, in seconds, is for a call with all its retries. `token`: the bearer
    token, or what gives it, without waiting."""

    def __init__(
        self,
        addresses: Union[str, Iterable[str]] = "127.0.0.1:7100",
        *,
        tls: Optional[Tls] = None,
        token: Token = None,
        timeout: float = 2.0,
        max_tries: int = 5,
    ):
        self._channels = _Channels(listed(addresses), tls, token, timeout, max_tries)
        self._watches: "weakref.WeakSet[Watch]" = weakref.WeakSet()

    async def close(self) -> None:
        """Calls under way fail, watches end."""
        for watch in list(self._watches):
            watch.close()
        await self._channels.close()

    async def __aenter__(self) -> "Sesior":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def resolve_cookie(self, header: Optional[str], *, touch: bool = False, timeout: Optional[float] = None) -> Resolved:
        """Judges the Cookie header of a request as Express would."""
        return await self._channels.run(_calls.resolve_cookie(header, touch), timeout)

    async def get_session(self, session: Ref, *, touch: bool = False, timeout: Optional[float] = None) -> Optional[Session]:
        """None: there is none."""
        try:
            return await self._channels.run(_calls.get_session(session, touch), timeout)
        except SesiorError as error:
            if error.code == "NOT_FOUND":
                return None
            raise

    async def get_sessions(self, ids: Iterable[str], *, timeout: Optional[float] = None) -> Dict[str, Session]:
        """Any number of them, a hundred a call; those that are not there are left out."""
        found: Dict[str, Session] = {}
        for call in _calls.get_sessions(ids):
            found.update(await self._channels.run(call, timeout))
        return found

    async def create_session(
        self,
        data: Json = None,
        *,
        user_id: str = "",
        idle_ttl: Optional[timedelta] = None,
        absolute_ttl: Optional[timedelta] = None,
        claims: Claims = (),
        request_id: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Written:
        return await self._channels.run(_calls.create_session(data, user_id, idle_ttl, absolute_ttl, claims, request_id), timeout)

    async def update_session(
        self,
        session: Ref,
        patch: Json = None,
        *,
        etag: str = "",
        claims: Claims = (),
        touch: bool = False,
        request_id: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Written:
        """`patch`: a JSON merge patch; None in it deletes."""
        return await self._channels.run(_calls.update_session(session, patch, etag, claims, touch, request_id), timeout)

    async def touch_session(self, session: Ref, *, timeout: Optional[float] = None) -> bool:
        """False: it was touched a moment ago."""
        return await self._channels.run(_calls.touch_session(session), timeout)

    async def regenerate_session(
        self,
        session: Ref,
        *,
        reason: str = "login",
        keep_data: bool = True,
        patch: Json = None,
        etag: str = "",
        user_id: str = "",
        request_id: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Written:
        """A new id; call it at login and at every gain of privilege."""
        return await self._channels.run(_calls.regenerate_session(session, reason, keep_data, patch, etag, user_id, request_id), timeout)

    async def destroy_session(
        self, session: Ref, *, reason: str = "logout", etag: str = "", request_id: Optional[str] = None, timeout: Optional[float] = None
    ) -> bool:
        """False: there was none."""
        return await self._channels.run(_calls.destroy_session(session, reason, etag, request_id), timeout)

    async def list_sessions(
        self, user_id: str = "", *, caller: Optional[Ref] = None, timeout: Optional[float] = _calls.LIST_TIMEOUT
    ) -> List[ListedSession]:
        """All sessions of a user, newest first. The user is named by its id or by `caller`, the session that asks."""
        found: List[ListedSession] = []
        token = ""
        while True:
            page, token = await self._channels.run(_calls.list_sessions(user_id, caller, token), timeout)
            found += page
            if not token:
                return found

    async def end_user_sessions(
        self,
        user_id: str = "",
        *,
        caller: Optional[Ref] = None,
        handle: str = "",
        except_id: str = "",
        except_caller: bool = False,
        reason: str = "revoked",
        timeout: Optional[float] = _calls.END_USER_TIMEOUT,
    ) -> int:
        """Ends all sessions of a user, all but one, or only the one with this handle. How many have ended."""
        return await self._channels.run(_calls.end_user_sessions(user_id, caller, handle, except_id, except_caller, reason), timeout)

    def watch(self, *sessions: Ref) -> Watch:
        watch = Watch(self._channels)
        self._watches.add(watch)
        return watch.add(*sessions)

    async def publish(
        self,
        event: str,
        *args: Any,
        namespace: str = "/",
        rooms: Iterable[str] = (),
        except_rooms: Iterable[str] = (),
        volatile: bool = False,
        request_id: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> int:
        """An event for Socket.IO clients on every realtime replica; arguments may hold bytes. Its number in the namespace."""
        return await self._channels.run(_calls.publish(event, args, namespace, rooms, except_rooms, volatile, request_id), timeout)

    async def emit(
        self,
        event: str,
        *args: Any,
        user_ids: Iterable[str] = (),
        session_ids: Iterable[str] = (),
        rooms: Iterable[str] = (),
        except_rooms: Iterable[str] = (),
        namespace: str = "/",
        request_id: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> int:
        """An event for all sockets of these users, of these sessions and in these rooms; of none: for everybody."""
        call = _calls.emit(event, args, namespace, user_ids, session_ids, rooms, except_rooms, request_id)
        return await self._channels.run(call, timeout)

    async def list_online(
        self, namespace: str = "/", *, newest_first: bool = False, after: str = "", limit: int = 0, timeout: Optional[float] = None
    ) -> Tuple[int, List[Online]]:
        """How many there are in all, and at most 1,000 of them."""
        return await self._channels.run(_calls.list_online(namespace, newest_first, after, limit), timeout)

    async def count_online(self, namespace: str = "/", *, timeout: Optional[float] = None) -> int:
        return await self._channels.run(_calls.count_online(namespace), timeout)

    async def health(self, *, timeout: Optional[float] = None) -> Dict[str, bool]:
        """For each address whether it serves; never raises."""
        return await self._channels.health(timeout)
