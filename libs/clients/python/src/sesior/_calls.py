"""What each call sends, and what is made of its answer: the same for the client and for sesior.aio. No I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Callable, Dict, Generic, Iterable, List, Mapping, Optional, Sequence, Tuple, TypeVar, Union

from google.protobuf import duration_pb2

from sesior.broadcast.v1 import broadcast_pb2
from sesior.presence.v1 import presence_pb2
from sesior.session.v1 import session_pb2

from ._messages import ListedSession, Online, Ref, Resolved, Session, Written, listed_of, new_token, ref_of, session_of, time_of, word_of

BATCH = 100
PAGE = 200
# Where the caller says nothing: as the protos say.
LIST_TIMEOUT = 5.0
END_USER_TIMEOUT = 10.0

Json = Union[Mapping[str, Any], str, None]
Claims = Iterable[Mapping[str, str]]
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Call(Generic[T_co]):
    service: str
    method: str
    request: Any
    read: Callable[[Any], T_co]


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


def _packet(args: Sequence[Any]) -> broadcast_pb2.Packet:
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

    args_json = json.dumps([without_bytes(value) for value in args], allow_nan=False)
    return broadcast_pb2.Packet(args_json=args_json, attachments=attachments)


def _reason(word: str) -> Any:
    return session_pb2.EndReason.Value("END_REASON_" + word.upper().replace("-", "_"))


def _written(response: Any) -> Written:
    previous = [claim.previous_value if claim.HasField("previous_value") else None for claim in response.claims]
    return Written(session_of(response.session), response.set_cookie, previous)


def resolve_cookie(header: Optional[str], touch: bool) -> Call[Resolved]:
    def read(response: Any) -> Resolved:
        return Resolved(
            word_of(session_pb2.CookieVerdict, response.verdict, "COOKIE_VERDICT_"),
            session_of(response.session) if response.HasField("session") else None,
            response.set_cookie,
        )

    return Call("sessions", "ResolveCookie", session_pb2.ResolveCookieRequest(cookie_header=header or "", touch=touch), read)


def get_session(session: Ref, touch: bool) -> Call[Session]:
    request = session_pb2.GetSessionRequest(session=ref_of(session), touch=touch)
    return Call("sessions", "GetSession", request, lambda response: session_of(response.session))


def get_sessions(ids: Iterable[str]) -> List[Call[Dict[str, Session]]]:
    listed = list(dict.fromkeys(ids))

    def read(response: Any) -> Dict[str, Session]:
        return {message.session_id: session_of(message) for message in response.sessions}

    batches = (listed[at : at + BATCH] for at in range(0, len(listed), BATCH))
    return [Call("sessions", "BatchGetSessions", session_pb2.BatchGetSessionsRequest(session_ids=batch), read) for batch in batches]


def create_session(
    data: Json, user_id: str, idle_ttl: Optional[timedelta], absolute_ttl: Optional[timedelta], claims: Claims, request_id: Optional[str]
) -> Call[Written]:
    request = session_pb2.CreateSessionRequest(
        data_json=_json(data),
        user_id=user_id,
        idle_ttl=_duration(idle_ttl),
        absolute_ttl=_duration(absolute_ttl),
        claims=[session_pb2.Claim(**claim) for claim in claims],
        request_id=request_id or new_token(),
    )
    return Call("sessions", "CreateSession", request, _written)


def update_session(session: Ref, patch: Json, etag: str, claims: Claims, touch: bool, request_id: Optional[str]) -> Call[Written]:
    request = session_pb2.UpdateSessionRequest(
        session=ref_of(session),
        merge_patch_json=_json(patch),
        etag=etag,
        claims=[session_pb2.Claim(**claim) for claim in claims],
        touch=touch,
        request_id=request_id or new_token(),
    )
    return Call("sessions", "UpdateSession", request, _written)


def touch_session(session: Ref) -> Call[bool]:
    return Call("sessions", "TouchSession", session_pb2.TouchSessionRequest(session=ref_of(session)), lambda response: response.touched)


def regenerate_session(
    session: Ref, reason: str, keep_data: bool, patch: Json, etag: str, user_id: str, request_id: Optional[str]
) -> Call[Written]:
    request = session_pb2.RegenerateSessionRequest(
        session=ref_of(session),
        reason=_reason(reason),
        keep_data=keep_data,
        merge_patch_json=_json(patch),
        etag=etag,
        user_id=user_id,
        request_id=request_id or new_token(),
    )
    return Call("sessions", "RegenerateSession", request, _written)


def destroy_session(session: Ref, reason: str, etag: str, request_id: Optional[str]) -> Call[bool]:
    request = session_pb2.DestroySessionRequest(
        session=ref_of(session), reason=_reason(reason), etag=etag, request_id=request_id or new_token()
    )
    return Call("sessions", "DestroySession", request, lambda response: response.destroyed)


def _whose(user_id: str, caller: Optional[Ref]) -> Dict[str, Any]:
    if bool(user_id) == (caller is not None):
        raise ValueError("either user_id or caller")
    return {"user_id": user_id} if caller is None else {"caller": ref_of(caller)}


def list_sessions(user_id: str, caller: Optional[Ref], page_token: str) -> Call[Tuple[List[ListedSession], str]]:
    """A page, and the token of the next; empty: that was the last."""
    request = session_pb2.ListSessionsRequest(page_size=PAGE, page_token=page_token, **_whose(user_id, caller))

    def read(response: Any) -> Tuple[List[ListedSession], str]:
        return [listed_of(message, response.current_handle) for message in response.sessions], response.next_page_token

    return Call("sessions", "ListSessions", request, read)


def end_user_sessions(
    user_id: str, caller: Optional[Ref], handle: str, except_id: str, except_caller: bool, reason: str
) -> Call[int]:
    request = session_pb2.DestroyUserSessionsRequest(
        handle=handle, except_session_id=except_id, except_caller=except_caller, reason=_reason(reason), **_whose(user_id, caller)
    )
    return Call("sessions", "DestroyUserSessions", request, lambda response: response.destroyed_count)


def publish(
    event: str,
    args: Sequence[Any],
    namespace: str,
    rooms: Iterable[str],
    except_rooms: Iterable[str],
    volatile: bool,
    request_id: Optional[str],
) -> Call[int]:
    request = broadcast_pb2.PublishRequest(request_id=request_id or new_token())
    request.broadcast.namespace = namespace
    request.broadcast.rooms.extend(rooms)
    getattr(request.broadcast, "except").extend(except_rooms)
    request.broadcast.packet.CopyFrom(_packet([event, *args]))
    request.broadcast.volatile = volatile
    return Call("broadcasts", "Publish", request, lambda response: response.position.offset)


def emit(
    event: str,
    args: Sequence[Any],
    namespace: str,
    user_ids: Iterable[str],
    session_ids: Iterable[str],
    rooms: Iterable[str],
    except_rooms: Iterable[str],
    request_id: Optional[str],
) -> Call[int]:
    packet = _packet(args)
    request = broadcast_pb2.EmitRequest(
        namespace=namespace,
        event=event,
        args_json=packet.args_json,
        attachments=packet.attachments,
        user_ids=user_ids,
        session_ids=session_ids,
        rooms=rooms,
        request_id=request_id or new_token(),
    )
    getattr(request, "except").extend(except_rooms)
    return Call("broadcasts", "Emit", request, lambda response: response.position.offset)


def list_online(namespace: str, newest_first: bool, after: str, limit: int) -> Call[Tuple[int, List[Online]]]:
    request = presence_pb2.ListOnlineRequest(
        namespace=namespace,
        order=presence_pb2.ONLINE_ORDER_NEWEST if newest_first else presence_pb2.ONLINE_ORDER_BY_KEY,
        after=after,
        limit=limit,
    )

    def read(response: Any) -> Tuple[int, List[Online]]:
        entries = [
            Online(entry.key, json.loads(entry.value_json) if entry.value_json else None, time_of(entry, "since"))
            for entry in response.entries
        ]
        return response.total_count, entries

    return Call("presence", "ListOnline", request, read)


def count_online(namespace: str) -> Call[int]:
    request = presence_pb2.CountOnlineRequest(namespace=namespace)
    return Call("presence", "CountOnline", request, lambda response: response.total_count)
