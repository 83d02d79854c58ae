"""Between the messages of the protos and what callers see."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from typing import Any, Dict, List, Mapping, Optional, Union

from sesior.session.v1 import session_pb2


@dataclass(frozen=True)
class Session:
    id: str  # a secret: it belongs in no log
    data_json: str  # the record without its member `cookie`, as its writers wrote it
    user_id: str
    etag: str  # says "same or not"
    revision: int  # grows with every write
    create_time: Optional[datetime]
    expire_time: Optional[datetime]  # None: never by idling
    absolute_expire_time: Optional[datetime]  # None: no absolute limit
    foreign_writer: bool  # the last write was not made through SESIOR
    handle: str  # what users may be shown in place of the id

    @cached_property
    def data(self) -> Dict[str, Any]:
        return json.loads(self.data_json)


# By id, by {"cookie": the Cookie header of a request}, or a session that was read before.
Ref = Union[str, Mapping[str, str], Session]


@dataclass(frozen=True)
class Device:
    address: str
    user_agent: str
    label: str


@dataclass(frozen=True)
class ListedSession:
    """A session as its user may see it in a list: without id and data."""

    handle: str  # stands for the id
    create_time: Optional[datetime]
    last_seen_time: Optional[datetime]
    expire_time: Optional[datetime]
    absolute_expire_time: Optional[datetime]
    device: Device
    current: bool  # the one that asks


@dataclass(frozen=True)
class Resolved:
    verdict: str  # "valid", "absent", "malformed", "forged", "unknown"
    session: Optional[Session]
    set_cookie: str  # a Set-Cookie value that is due, or ""


@dataclass(frozen=True)
class Written:
    session: Session
    set_cookie: str
    previous: List[Optional[str]]  # for each claim the value held before


@dataclass(frozen=True)
class Change:
    kind: str  # "current", "updated", "touched", "ended", "refused"
    ref: Ref
    session: Optional[Session] = None  # unless ended or refused
    reason: str = ""  # with "ended": "logout", "login", ...
    verdict: str = ""  # with "refused"


@dataclass(frozen=True)
class Online:
    key: str
    value: Any
    since: Optional[datetime]


def time_of(message: Any, field: str) -> Optional[datetime]:
    if not message.HasField(field):
        return None
    return getattr(message, field).ToDatetime().replace(tzinfo=timezone.utc)


def ref_of(session: Ref) -> session_pb2.SessionRef:
    if isinstance(session, str):
        return session_pb2.SessionRef(session_id=session)
    if isinstance(session, Session):
        return session_pb2.SessionRef(session_id=session.id)
    return session_pb2.SessionRef(cookie_header=session["cookie"])


def session_of(message: session_pb2.Session) -> Session:
    return Session(
        id=message.session_id,
        data_json=message.data_json,
        user_id=message.user_id,
        etag=message.etag,
        revision=message.revision,
        create_time=time_of(message, "create_time"),
        expire_time=time_of(message, "expire_time"),
        absolute_expire_time=time_of(message, "absolute_expire_time"),
        foreign_writer=message.foreign_writer,
        handle=message.handle,
    )


def listed_of(message: session_pb2.Session, current_handle: str) -> ListedSession:
    return ListedSession(
        handle=message.handle,
        create_time=time_of(message, "create_time"),
        last_seen_time=time_of(message, "last_seen_time"),
        expire_time=time_of(message, "expire_time"),
        absolute_expire_time=time_of(message, "absolute_expire_time"),
        device=Device(message.device.address, message.device.user_agent, message.device.label),
        current=message.handle == current_handle,
    )


def word_of(enum: Any, number: int, prefix: str) -> str:
    """END_REASON_LOGOUT -> "logout"."""
    name = enum.Name(number) if number in enum.values() else f"{prefix}UNSPECIFIED"
    return name[len(prefix) :].lower().replace("_", "-")


def new_token() -> str:
    """Unguessable; fit to be a request id."""
    return secrets.token_urlsafe(18)
