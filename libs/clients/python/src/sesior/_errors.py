"""What a call fails with."""

from __future__ import annotations

from typing import Optional

import grpc

from sesior.internal.v1 import status_pb2

_PREFIX = "type.googleapis.com/google.rpc."


class SesiorError(Exception):
    """`code` is gRPC's name ("NOT_FOUND"), `reason` one of the table in proto/README.md or "", `field` the request's field
    or the record's member that was wrong or "", `retry_after` the seconds to wait that were advised."""

    def __init__(self, message: str, code: str, reason: str = "", field: str = "", retry_after: Optional[float] = None):
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.field = field
        self.retry_after = retry_after


def from_grpc(error: grpc.RpcError) -> SesiorError:
    """Details that cannot be read are left out: code and message stand without them."""
    found = SesiorError(error.details() or "", error.code().name)
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        try:
            _read_details(status_pb2.Status.FromString(value), found)
        except Exception:  # noqa: BLE001 - as said above
            pass
    return found


def _read_details(status: status_pb2.Status, found: SesiorError) -> None:
    for detail in status.details:
        if detail.type_url == _PREFIX + "ErrorInfo":
            found.reason = status_pb2.ErrorInfo.FromString(detail.value).reason
        elif detail.type_url == _PREFIX + "BadRequest":
            violations = status_pb2.BadRequest.FromString(detail.value).field_violations
            found.field = violations[0].field if violations else ""
        elif detail.type_url == _PREFIX + "RetryInfo":
            delay = status_pb2.RetryInfo.FromString(detail.value).retry_delay
            found.retry_after = delay.seconds + delay.nanos / 1e9
