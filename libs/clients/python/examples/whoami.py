"""Reads the cookie of a request and answers with the user. python3 whoami.py HOST:PORT of session replicas..."""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sesior import Sesior, SesiorError

sesior = Sesior(sys.argv[1:] or "127.0.0.1:7100", token=os.environ.get("SESIOR_TOKEN"))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        try:
            found = sesior.resolve_cookie(self.headers.get("Cookie"), touch=True)
        except SesiorError as error:
            # The service is away: that never means "logged out".
            self.send_response(503 if error.code == "UNAVAILABLE" else 500)
            self.send_header("Retry-After", "1")
            self.end_headers()
            return
        self.send_response(200)
        if found.set_cookie:
            self.send_header("Set-Cookie", found.set_cookie)
        self.end_headers()
        known = found.session and found.session.data.get("userName", "a visitor")
        self.wfile.write(f"You are {known}.\n".encode() if known else b"I do not know you.\n")

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
