"""A channel for each address, and calls that go from one to the next. Thread-safe."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import grpc

from sesior.broadcast.v1 import broadcast_pb2_grpc
from sesior.presence.v1 import presence_pb2_grpc
from sesior.session.v1 import session_pb2_grpc

from ._errors import SesiorError, from_grpc

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
SHUNNED = 1.0  # an address that was away is asked last for so long

Token = Union[str, Callable[[], str], None]


@dataclass(frozen=True)
class Tls:
    """PEM bytes. `ca`: unset: the machine's roots. `cert` and `key`: the client's own, both or none. `server_name`: the
    name in the server's certificate, where the address has another."""

    ca: Optional[bytes] = None
    cert: Optional[bytes] = None
    key: Optional[bytes] = None
    server_name: Optional[str] = None


def pause_before(tries: int, advised: Optional[float], first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE) -> float:
    """Seconds before try number `tries` + 1: doubled each time, between half of it and all."""
    whole = min(longest, first * 2 ** (tries - 1))
    return max(advised or 0.0, whole / 2 + random.random() * whole / 2)


class _Place:
    def __init__(self, address: str, channel: grpc.Channel):
        self.address = address
        self.channel = channel
        self.away_until = 0.0
        self.stubs: Dict[str, Any] = {
            "sessions": session_pb2_grpc.SessionServiceStub(channel),
            "broadcasts": broadcast_pb2_grpc.BroadcastServiceStub(channel),
            "presence": presence_pb2_grpc.PresenceServiceStub(channel),
        }
        # HealthCheckRequest is empty for "the whole server"; HealthCheckResponse is one enum, field 1.
        self.check = channel.unary_unary(
            "/grpc.health.v1.Health/Check", request_serializer=lambda _: b"", response_deserializer=lambda data: data == b"\x08\x01"
        )


class Channels:
    def __init__(self, addresses: Sequence[str], tls: Optional[Tls], token: Token, timeout: float, max_tries: int):
        options: List[Tuple[str, Any]] = [
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 5_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 1_000),
            ("grpc.max_reconnect_backoff_ms", 1_000),
            ("grpc.enable_retries", 0),  # ours know request ids and deadlines
            ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
        ]
        if tls is not None and tls.server_name:
            options.append(("grpc.ssl_target_name_override", tls.server_name))
        self.timeout = timeout
        self._token = token
        self._max_tries = max_tries
        self._places = [_Place(address, self._open(address, tls, options)) for address in addresses]
        self._turn = itertools.count(random.randrange(1024))

    @staticmethod
    def _open(address: str, tls: Optional[Tls], options: List[Tuple[str, Any]]) -> grpc.Channel:
        if tls is None:
            return grpc.insecure_channel(address, options)
        credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.cert)
        return grpc.secure_channel(address, credentials, options)

    def _pick(self) -> _Place:
        start = next(self._turn)
        in_turn = [self._places[(start + i) % len(self._places)] for i in range(len(self._places))]
        return min(in_turn, key=lambda place: place.away_until > time.monotonic())

    def _metadata(self) -> List[Tuple[str, str]]:
        token = self._token() if callable(self._token) else self._token
        return [("authorization", f"Bearer {token}")] if token else []

    def call(self, service: str, method: str, request: Any, timeout: Optional[float] = None) -> Any:
        """One unary call. Repeats UNAVAILABLE only, within its deadline: every call is either idempotent or carries a
        request id."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        for tries in itertools.count(1):
            place = self._pick()
            try:
                return getattr(place.stubs[service], method)(
                    request, timeout=max(0.0, deadline - time.monotonic()), metadata=self._metadata()
                )
            except grpc.RpcError as error:
                failure = from_grpc(error)
                if failure.code == "UNAVAILABLE":
                    place.away_until = time.monotonic() + SHUNNED
                pause = pause_before(tries, failure.retry_after)
                over = tries >= self._max_tries or time.monotonic() + pause >= deadline
                if failure.code != "UNAVAILABLE" or over:
                    raise failure from error
                time.sleep(pause)
        raise AssertionError("unreachable")

    def stream(self, service: str, method: str, requests: Any) -> Any:
        """A stream on the next place in turn. No deadline."""
        place = self._pick()
        return getattr(place.stubs[service], method)(requests, metadata=self._metadata()), place

    @staticmethod
    def shun(place: _Place) -> None:
        place.away_until = time.monotonic() + SHUNNED

    def health(self, timeout: Optional[float] = None) -> Dict[str, bool]:
        def ask(place: _Place) -> bool:
            try:
                return place.check(None, timeout=self.timeout if timeout is None else timeout, metadata=self._metadata())
            except grpc.RpcError:
                return False

        answers: Dict[str, bool] = {}
        threads = [
            threading.Thread(target=lambda place=place: answers.__setitem__(place.address, ask(place))) for place in self._places
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def close(self) -> None:
        for place in self._places:
            place.channel.close()


__all__ = ["Channels", "SesiorError", "Tls", "Token", "pause_before"]
