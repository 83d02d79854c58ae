"""The client. sesior.aio is the same for asyncio."""

from __future__ import annotations

import weakref
from datetime import timedelta
from typing import Any, Dict, Iterable, List, Optional, Tuple, Union

from . import _calls
from ._calls import Claims, Json
from ._channels import Channels, Tls, Token, listed
from ._errors import SesiorError
from ._messages import ListedSession, Online, Ref, Resolved, Session, Written
from ._watch import Watch


class Sesior:
    """Thread-safe. Every call raises SesiorError; UNAVAILABLE is retried, nothing else, and never means "logged out".
    `timeout`, in seconds, is for a call with all its retries. `token`: the bearer token, or what gives it."""

    def __init__(
        self,
        addresses: Union[str, Iterable[str]] = "127.0.0.1:7100",
        *,
        tls: Optional[Tls] = None,
        token: Token = None,
        timeout: float = 2.0,
        max_tries: int = 5,
    ):
        self._channels = Channels(listed(addresses), tls, token, timeout, max_tries)
        self._watches: "weakref.WeakSet[Watch]" = weakref.WeakSet()

    def close(self) -> None:
        """Calls under way fail, watches end."""
        for watch in list(self._watches):
            watch.close()
        self._channels.close()

    def __enter__(self) -> "Sesior":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def resolve_cookie(self, header: Optional[str], *, touch: bool = False, timeout: Optional[float] = None) -> Resolved:
        """Judges the Cookie header of a request as Express would."""
        return self._channels.run(_calls.resolve_cookie(header, touch), timeout)

    def get_session(self, session: Ref, *, touch: bool = False, timeout: Optional[float] = None) -> Optional[Session]:
        """None: there is none."""
        try:
            return self._channels.run(_calls.get_session(session, touch), timeout)
        except SesiorError as error:
            if error.code == "NOT_FOUND":
                return None
            raise

    def get_sessions(self, ids: Iterable[str], *, timeout: Optional[float] = None) -> Dict[str, Session]:
        """Any number of them, a hundred a call; those that are not there are left out."""
        found: Dict[str, Session] = {}
        for call in _calls.get_sessions(ids):
            found.update(self._channels.run(call, timeout))
        return found

    def create_session(
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
        return self._channels.run(_calls.create_session(data, user_id, idle_ttl, absolute_ttl, claims, request_id), timeout)

    def update_session(
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
        return self._channels.run(_calls.update_session(session, patch, etag, claims, touch, request_id), timeout)

    def touch_session(self, session: Ref, *, timeout: Optional[float] = None) -> bool:
        """False: it was touched a moment ago."""
        return self._channels.run(_calls.touch_session(session), timeout)

    def regenerate_session(
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
        return self._channels.run(_calls.regenerate_session(session, reason, keep_data, patch, etag, user_id, request_id), timeout)

    def destroy_session(
        self, session: Ref, *, reason: str = "logout", etag: str = "", request_id: Optional[str] = None, timeout: Optional[float] = None
    ) -> bool:
        """False: there was none."""
        return self._channels.run(_calls.destroy_session(session, reason, etag, request_id), timeout)

    def list_sessions(
        self, user_id: str = "", *, caller: Optional[Ref] = None, timeout: Optional[float] = _calls.LIST_TIMEOUT
    ) -> List[ListedSession]:
        """All sessions of a user, newest first. The user is named by its id or by `caller`, the session that asks."""
        found: List[ListedSession] = []
        token = ""
        while True:
            page, token = self._channels.run(_calls.list_sessions(user_id, caller, token), timeout)
            found += page
            if not token:
                return found

    def end_user_sessions(
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
        return self._channels.run(_calls.end_user_sessions(user_id, caller, handle, except_id, except_caller, reason), timeout)

    def watch(self, *sessions: Ref) -> Watch:
        watch = Watch(self._channels)
        self._watches.add(watch)
        return watch.add(*sessions)

    def publish(
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
        return self._channels.run(_calls.publish(event, args, namespace, rooms, except_rooms, volatile, request_id), timeout)

    def emit(
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
        return self._channels.run(call, timeout)

    def list_online(
        self, namespace: str = "/", *, newest_first: bool = False, after: str = "", limit: int = 0, timeout: Optional[float] = None
    ) -> Tuple[int, List[Online]]:
        """How many there are in all, and at most 1,000 of them."""
        return self._channels.run(_calls.list_online(namespace, newest_first, after, limit), timeout)

    def count_online(self, namespace: str = "/", *, timeout: Optional[float] = None) -> int:
        return self._channels.run(_calls.count_online(namespace), timeout)

    def health(self, *, timeout: Optional[float] = None) -> Dict[str, bool]:
        """For each address whether it serves; never raises."""
        return self._channels.health(timeout)
