"""The client against a service that knows its callers: TLS, a client certificate, a bearer token, roles."""

import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from sesior import Sesior, SesiorError, Tls

ROOT = Path(__file__).resolve().parents[4]
BIN = Path(os.environ.get("SESIOR_BIN_DIR", ROOT / "build/release/bin"))
TOKEN = "the token of a backend"


class Credentials(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        path = Path(cls.folder.name)
        subprocess.run([ROOT / "tests/support/certificates.sh", path], check=True)
        (path / "token").write_text(TOKEN + "\n")
        cls.files = path
        flags = {
            "listen": "127.0.0.1:0", "redis-url": f"unix://{os.environ['SESIOR_TEST_REDIS']}", "cookie-secret": "x",
            "tls-cert": path / "server.pem", "tls-key": path / "server.key", "tls-client-ca": path / "ca.pem",
            "edge-names": "sesior-rest", "backend-tokens-file": path / "token",
        }  # fmt: skip
        service = subprocess.Popen(
            [BIN / "sesior-session", *(f"--{name}={value}" for name, value in flags.items())],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        cls.addClassCleanup(service.stdout.close)
        cls.addClassCleanup(service.wait)
        cls.addClassCleanup(service.terminate)
        log = []
        for line in service.stdout:
            log.append(line)
            found = re.search(r"name=grpc addr=(\S+)", line)
            if found:
                cls.address = found[1]
                return
        raise AssertionError("sesior-session did not start:\n" + "".join(log))

    def connect(self, *, certificate=None, ca="ca", token=None, server_name=None):
        def pem(name):
            return (self.files / name).read_bytes()

        mine = (pem(f"{certificate}.pem"), pem(f"{certificate}.key")) if certificate else (None, None)
        tls = Tls(ca=pem(f"{ca}.pem"), cert=mine[0], key=mine[1], server_name=server_name)
        sesior = Sesior(self.address, tls=tls, token=token, max_tries=1, timeout=10)
        self.addCleanup(sesior.close)
        return sesior

    def assert_refused(self, call, code, reason=""):
        with self.assertRaises(SesiorError) as raised:
            call()
        self.assertEqual((raised.exception.code, raised.exception.reason), (code, reason))

    def test_a_token_gives_its_role_in_calls_and_streams(self):
        backend = self.connect(token=TOKEN)
        made = backend.create_session({"a": 1}).session
        self.assertEqual(list(backend.get_sessions([made.id])), [made.id])
        watch = backend.watch(made.id)
        self.assertEqual(next(iter(watch)).kind, "current")
        watch.close()
        self.assertEqual(backend.health(), {self.address: True})

    def test_a_token_may_change_while_the_client_lives(self):
        tokens = ["a token that nobody has"]
        client = self.connect(token=lambda: tokens[-1])
        self.assert_refused(client.create_session, "UNAUTHENTICATED", "CREDENTIALS_UNKNOWN")
        tokens.append(TOKEN)
        client.create_session()

    def test_a_certificate_gives_the_role_of_its_name(self):
        edge = self.connect(certificate="edge", server_name="sesior-session")
        made = edge.create_session().session
        self.assert_refused(lambda: edge.get_sessions([made.id]), "PERMISSION_DENIED", "ROLE_REQUIRED")

    def test_nothing_is_answered_without_credentials_or_with_those_of_others(self):
        self.assert_refused(self.connect().create_session, "UNAUTHENTICATED", "CREDENTIALS_MISSING")
        for bad in ({"ca": "other"}, {"certificate": "stranger"}, {"server_name": "another"}):
            self.assert_refused(self.connect(token=TOKEN, **bad).create_session, "UNAVAILABLE")


if __name__ == "__main__":
    unittest.main()
