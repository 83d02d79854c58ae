"""SESIOR from Python: sessions, watches and broadcasts over gRPC. See README.md."""

from ._channels import Tls
from ._errors import SesiorError
from ._messages import Change, Device, ListedSession, Online, Resolved, Session, Written
from ._watch import Watch
from .client import Sesior

__all__ = ["Change", "Device", "ListedSession", "Online", "Resolved", "Session", "Sesior", "SesiorError", "Tls", "Watch", "Written"]
