"""The client."""

from __future__ import annotations

import json
import weakref
from datetime import timedelta
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from google.protobuf import duration_pb2

from sesior.broadcast.v1 import broadcast_pb2
from sesior.presence.v1 import presence_pb2
from sesior.session.v1 import session_pb2

from ._channels import Channels, Tls, Token
from ._errors import SesiorError
from ._messages import Online, Ref, Resolved, Session, Written, new_token, ref_of, session_of, time_of, word_of
from ._watch import Watch

_BATCH = 100

Json = Union[Mapping[str, Any], str, None]


def _json(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _duration(value: Optional[timedelta]) -> Optional[duration_pb2.Duration]:
    if value is None:
        return None
    duration = duration_pb2.Duration()
    duration.FromTimedelta(value)
    return duration


def _packet(event: str, args: Sequence[Any]) -> broadcast_pb2.Packet:
    """Bytes among the arguments are taken out of them: Socket.IO sends them beside the JSON."""
    attachments: List[bytes] = []

    def without_bytes(value: Any) -> Any:
        if isinstance(value, (bytes, bytearray, memoryview)):
            attachments.append(bytes(value))
            return {"_placeholder": True, "num": len(attachments) - 1}
        if isinstance(value, Mapping):
            return {name: without_bytes(inner) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [without_bytes(inner) for inner in value]
        return value

    args_json = json.dumps([event, *(without_bytes(value) for value in args)], allow_nan=False)
    return broadcast_pb2.Packet(args_json=args_json, attachments=attachments)


def _reason(word: str) -> Any:
    return session_pb2.EndReason.Value("END_REASON_" + word.upper().replace("-", "_"))


def _written(response: Any) -> Written:
    previous = [claim.previous_value if claim.HasField("previous_value") else None for claim in response.claims]
    return Written(session_of(response.session), response.set_cookie, previous)


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
        listed = addresses.split(",") if isinstance(addresses, str) else list(addresses)
        if not listed or not all(listed):
            raise ValueError("addresses: at least one host:port")
        self._channels = Channels(listed, tls, token, timeout, max_tries)
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
        request = session_pb2.ResolveCookieRequest(cookie_header=header or "", touch=touch)
        response = self._channels.call("sessions", "ResolveCookie", request, timeout)
        return Resolved(
            word_of(session_pb2.CookieVerdict, response.verdict, "COOKIE_VERDICT_"),
            session_of(response.session) if response.HasField("session") else None,
            response.set_cookie,
        )

    def get_session(self, session: Ref, *, touch: bool = False, timeout: Optional[float] = None) -> Optional[Session]:
        """None: there is none."""
        request = session_pb2.GetSessionRequest(session=ref_of(session), touch=touch)
        try:
            return session_of(self._channels.call("sessions", "GetSession", request, timeout).session)
        except SesiorError as error:
            if error.code == "NOT_FOUND":
                return None
            raise

    def get_sessions(self, ids: Iterable[str], *, timeout: Optional[float] = None) -> Dict[str, Session]:
        """Any number of them, a hundred a call; those that are not there are left out."""
        listed = list(dict.fromkeys(ids))
        found: Dict[str, Session] = {}
        for at in range(0, len(listed), _BATCH):
            request = session_pb2.BatchGetSessionsRequest(session_ids=listed[at : at + _BATCH])
            for message in self._channels.call("sessions", "BatchGetSessions", request, timeout).sessions:
                found[message.session_id] = session_of(message)
        return found

    def create_session(
        self,
        data: Json = None,
        *,
        user_id: str = "",
        idle_ttl: Optional[timedelta] = None,
        absolute_ttl: Optional[timedelta] = None,
        claims: Iterable[Mapping[str, str]] = (),
        request_id: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Written:
        request = session_pb2.CreateSessionRequest(
            data_json=_json(data),
            user_id=user_id,
            idle_ttl=_duration(idle_ttl),
            absolute_ttl=_duration(absolute_ttl),
            claims=[session_pb2.Claim(**claim) for claim in claims],
            request_id=request_id or new_token(),
        )
        return _written(self._channels.call("sessions", "CreateSession", request, timeout))

    def update_session(
        self,
        session: Ref,
        patch: Json = None,
        *,
        etag: str = "",
        claims: Iterable[Mapping[str, str]] = (),
        touch: bool = False,
        request_id: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Written:
        """`patch`: a JSON merge patch; None in it deletes."""
        request = session_pb2.UpdateSessionRequest(
            session=ref_of(session),
            merge_patch_json=_json(patch),
            etag=etag,
            claims=[session_pb2.Claim(**claim) for claim in claims],
            touch=touch,
            request_id=request_id or new_token(),
        )
        return _written(self._channels.call("sessions", "UpdateSession", request, timeout))

    def touch_session(self, session: Ref, *, timeout: Optional[float] = None) -> bool:
        """False: it was touched a moment ago."""
        request = session_pb2.TouchSessionRequest(session=ref_of(session))
        return self._channels.call("sessions", "TouchSession", request, timeout).touched

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
        request = session_pb2.RegenerateSessionRequest(
            session=ref_of(session),
            reason=_reason(reason),
            keep_data=keep_data,
            merge_patch_json=_json(patch),
            etag=etag,
            user_id=user_id,
            request_id=request_id or new_token(),
        )
        return _written(self._channels.call("sessions", "RegenerateSession", request, timeout))

    def destroy_session(
        self, session: Ref, *, reason: str = "logout", etag: str = "", request_id: Optional[str] = None, timeout: Optional[float] = None
    ) -> bool:
        """False: there was none."""
        request = session_pb2.DestroySessionRequest(
            session=ref_of(session), reason=_reason(reason), etag=etag, request_id=request_id or new_token()
        )
        return self._channels.call("sessions", "DestroySession", request, timeout).destroyed

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
        request = broadcast_pb2.PublishRequest(request_id=request_id or new_token())
        request.broadcast.namespace = namespace
        request.broadcast.rooms.extend(rooms)
        getattr(request.broadcast, "except").extend(except_rooms)
        request.broadcast.packet.CopyFrom(_packet(event, args))
        request.broadcast.volatile = volatile
        return self._channels.call("broadcasts", "Publish", request, timeout).position.offset

    def list_online(
        self, namespace: str = "/", *, newest_first: bool = False, after: str = "", limit: int = 0, timeout: Optional[float] = None
    ) -> Tuple[int, List[Online]]:
        """How many there are in all, and at most 1,000 of them."""
        request = presence_pb2.ListOnlineRequest(
            namespace=namespace,
            order=presence_pb2.ONLINE_ORDER_NEWEST if newest_first else presence_pb2.ONLINE_ORDER_BY_KEY,
            after=after,
            limit=limit,
        )
        response = self._channels.call("presence", "ListOnline", request, timeout)
        entries = [
            Online(entry.key, json.loads(entry.value_json) if entry.value_json else None, time_of(entry, "since"))
            for entry in response.entries
        ]
        return response.total_count, entries

    def count_online(self, namespace: str = "/", *, timeout: Optional[float] = None) -> int:
        return self._channels.call("presence", "CountOnline", presence_pb2.CountOnlineRequest(namespace=namespace), timeout).total_count

    def health(self, *, timeout: Optional[float] = None) -> Dict[str, bool]:
        """For each address whether it serves; never raises."""
        return self._channels.health(timeout)
