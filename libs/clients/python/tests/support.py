"""The live service that tests/clients/service.mjs has started, and a way to it that can be cut."""

import base64
import hashlib
import hmac
import os
import socket
import threading
import urllib.parse

ADDRESSES = os.environ["SESIOR_TEST_ADDRESSES"].split(",")
SECRET = os.environ["SESIOR_TEST_SECRET"]


def cookie_of(session_id: str) -> str:
    signature = base64.b64encode(hmac.new(SECRET.encode(), session_id.encode(), hashlib.sha256).digest()).decode().rstrip("=")
    return "connect.sid=" + urllib.parse.quote(f"s:{session_id}.{signature}", safe="")


class Proxy:
    """A way to a replica that can be cut: what is open breaks, and nothing gets through until it is mended."""

    def __init__(self, target: str):
        host, port = target.split(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._pairs = []
        self._is_cut = False
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._is_cut:
                    client.close()
                    continue
                server = socket.create_connection(self._target)
                self._pairs.append((client, server))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            for pair in self._pairs:
                for end in pair:
                    try:
                        end.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass
                    end.close()
            self._pairs.clear()

    def mend(self) -> None:
        with self._lock:
            self._is_cut = False

    def close(self) -> None:
        self._listener.close()
        self.cut()
