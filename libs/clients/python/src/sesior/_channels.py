"""A channel for each address, and calls that go from one to the next; what sesior.aio shares of it, too."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, Generic, Iterable, List, Optional, Sequence, Tuple, TypeVar, Union

import grpc

from sesior.broadcast.v1 import broadcast_pb2_grpc
from sesior.presence.v1 import presence_pb2_grpc
from sesior.session.v1 import session_pb2_grpc

from ._calls import Call
from ._errors import SesiorError, from_grpc

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
SHUNNED = 1.0  # an address that was away is asked last for so long

Token = Union[str, Callable[[], str], None]
T = TypeVar("T")


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


def listed(addresses: Union[str, Iterable[str]]) -> List[str]:
    found = addresses.split(",") if isinstance(addresses, str) else list(addresses)
    if not found or not all(found):
        raise ValueError("addresses: at least one host:port")
    return found


class Place:
    """One address. `channel` is one of grpc or of grpc.aio, and so what its stubs return."""

    def __init__(self, address: str, channel: Any):
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

    def shun(self) -> None:
        self.away_until = time.monotonic() + SHUNNED


class Places:
    """The addresses in turn, and what each call carries. `library`: grpc or grpc.aio."""

    def __init__(self, library: Any, addresses: Sequence[str], tls: Optional[Tls], token: Token, timeout: float, max_tries: int):
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
        self.max_tries = max_tries
        self._token = token

        def channel_to(address: str) -> Any:
            if tls is None:
                return library.insecure_channel(address, options)
            credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.cert)
            return library.secure_channel(address, credentials, options)

        self.all = [Place(address, channel_to(address)) for address in addresses]
        self._turn = itertools.count(random.randrange(1024))

    def pick(self) -> Place:
        start = next(self._turn)
        in_turn = [self.all[(start + i) % len(self.all)] for i in range(len(self.all))]
        return min(in_turn, key=lambda place: place.away_until > time.monotonic())

    def metadata(self) -> List[Tuple[str, str]]:
        token = self._token() if callable(self._token) else self._token
        return [("authorization", f"Bearer {token}")] if token else []


class Attempt(Generic[T]):
    """One call with its retries: every call is either idempotent or carries a request id, so UNAVAILABLE, and nothing
    else, is tried again, within the deadline."""

    def __init__(self, places: Places, call: Call[T], timeout: Optional[float]):
        self._places = places
        self._call = call
        self._deadline = time.monotonic() + (places.timeout if timeout is None else timeout)
        self._tries = 0
        self._place: Optional[Place] = None

    def begin(self) -> Any:
        """What grpc makes of the next try."""
        self._tries += 1
        self._place = self._places.pick()
        left = self._deadline - time.monotonic()
        if left <= 0:  # grpc.aio would take 0 for no deadline at all
            raise SesiorError("the deadline has passed", "DEADLINE_EXCEEDED")
        return getattr(self._place.stubs[self._call.service], self._call.method)(
            self._call.request, timeout=left, metadata=self._places.metadata()
        )

    def pause_after(self, error: grpc.RpcError) -> float:
        """Seconds until the next try; raises when there is none."""
        failure = from_grpc(error)
        if failure.code == "UNAVAILABLE" and self._place is not None:
            self._place.shun()
        pause = pause_before(self._tries, failure.retry_after)
        over = self._tries >= self._places.max_tries or time.monotonic() + pause >= self._deadline
        if failure.code != "UNAVAILABLE" or over:
            raise failure from error
        return pause


class Channels(Places):
    """Thread-safe."""

    def __init__(self, addresses: Sequence[str], tls: Optional[Tls], token: Token, timeout: float, max_tries: int):
        super().__init__(grpc, addresses, tls, token, timeout, max_tries)

    def run(self, call: Call[T], timeout: Optional[float] = None) -> T:
        attempt = Attempt(self, call, timeout)
        while True:
            try:
                return call.read(attempt.begin())
            except grpc.RpcError as error:
                time.sleep(attempt.pause_after(error))

    def health(self, timeout: Optional[float] = None) -> Dict[str, bool]:
        def ask(place: Place) -> bool:
            try:
                return place.check(None, timeout=self.timeout if timeout is None else timeout, metadata=self.metadata())
            except grpc.RpcError:
                return False

        answers: Dict[str, bool] = {}

        def note(place: Place) -> None:
            answers[place.address] = ask(place)

        threads = [threading.Thread(target=note, args=(place,)) for place in self.all]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def close(self) -> None:
        for place in self.all:
            place.channel.close()


__all__ = ["Attempt", "Channels", "Place", "Places", "SesiorError", "Tls", "Token", "listed", "pause_before"]
