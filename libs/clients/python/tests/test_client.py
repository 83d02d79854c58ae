"""The client against a live service; run by tests/clients/service.mjs, which says where it is."""

import subprocess
import sys
import threading
import time
import unittest
import urllib.request
from concurrent import futures
from datetime import datetime, timedelta, timezone
from pathlib import Path

import grpc

from sesior import Sesior, SesiorError
from sesior.session.v1 import session_pb2, session_pb2_grpc
from support import ADDRESSES, Proxy, cookie_of


class ClientTest(unittest.TestCase):
    def setUp(self) -> None:
        self.sesior = Sesior(ADDRESSES)
        self.addCleanup(self.sesior.close)

    def failure(self, call) -> SesiorError:
        with self.assertRaises(SesiorError) as caught:
            call()
        return caught.exception

    def test_makes_reads_changes_and_ends_a_session(self) -> None:
        made = self.sesior.create_session({"a": 1}, user_id="ann", idle_ttl=timedelta(minutes=1))
        self.assertTrue(made.set_cookie.startswith("connect.sid=s%3A"))
        self.assertEqual(made.session.data, {"a": 1})
        left = made.session.expire_time - datetime.now(timezone.utc)
        self.assertAlmostEqual(left.total_seconds(), 60, delta=10)
        header = f"x=y; {cookie_of(made.session.id)}"
        resolved = self.sesior.resolve_cookie(header, touch=True)
        self.assertEqual((resolved.verdict, resolved.session.user_id), ("valid", "ann"))
        self.assertEqual(self.sesior.resolve_cookie("connect.sid=s%3Ax.y").verdict, "forged")
        self.assertEqual(self.sesior.resolve_cookie(None).verdict, "absent")
        changed = self.sesior.update_session({"cookie": header}, {"b": 2, "a": None}, etag=made.session.etag)
        self.assertEqual(changed.session.data, {"b": 2})
        self.assertGreater(changed.session.revision, made.session.revision)
        self.assertFalse(self.sesior.touch_session(made.session))
        new = self.sesior.regenerate_session(made.session, patch={"c": 3}).session
        self.assertEqual(new.data, {"b": 2, "c": 3})
        self.assertIsNone(self.sesior.get_session(made.session.id))
        self.assertTrue(self.sesior.destroy_session(new))
        self.assertFalse(self.sesior.destroy_session(new))

    def test_lists_the_sessions_of_a_user_and_ends_them(self) -> None:
        made = [self.sesior.create_session({"n": n}, user_id="py-lister").session for n in range(3)]
        listed = self.sesior.list_sessions(caller={"cookie": cookie_of(made[2].id)})
        # Of one millisecond they come in any order.
        self.assertEqual({each.handle: each.current for each in listed}, {made[n].handle: n == 2 for n in range(3)})
        self.assertEqual(self.sesior.end_user_sessions("py-lister", handle=made[0].handle), 1)
        again = self.failure(lambda: self.sesior.end_user_sessions("py-lister", handle=made[0].handle))
        self.assertEqual(again.reason, "HANDLE_NOT_FOUND")
        self.assertEqual(self.sesior.end_user_sessions(caller=made[2], except_caller=True), 1)
        self.assertEqual([each.handle for each in self.sesior.list_sessions("py-lister")], [made[2].handle])
        self.assertEqual(self.sesior.end_user_sessions("py-lister"), 1)
        self.assertEqual(self.sesior.list_sessions("py-lister"), [])
        with self.assertRaises(ValueError):
            self.sesior.list_sessions()

    def test_reads_many_at_once(self) -> None:
        ids = [self.sesior.create_session({"n": n}).session.id for n in range(120)]
        found = self.sesior.get_sessions([*ids, ids[0], "there-is-none"])
        self.assertEqual(sorted(session.data["n"] for session in found.values()), list(range(120)))

    def test_errors_say_what_is_wrong(self) -> None:
        session = self.sesior.create_session().session
        stale = self.failure(lambda: self.sesior.update_session(session, {"a": 1}, etag='"' + "0" * 40 + '"'))
        self.assertEqual((stale.code, stale.reason, stale.field), ("ABORTED", "ETAG_MISMATCH", "etag"))
        reserved = self.failure(lambda: self.sesior.update_session(session, {"cookie": {}}))
        self.assertEqual((reserved.code, reserved.reason, reserved.field), ("INVALID_ARGUMENT", "RESERVED_MEMBER", "cookie"))
        gone = self.failure(lambda: self.sesior.update_session("there-is-none", {"a": 1}))
        self.assertEqual((gone.code, gone.reason), ("NOT_FOUND", "SESSION_NOT_FOUND"))
        with self.assertRaises(ValueError):
            Sesior([])

    def test_a_request_id_is_carried_out_once(self) -> None:
        first = self.sesior.publish("e", {"n": 1, "b": b"\0\1"}, request_id="python-once")
        self.assertEqual(self.sesior.publish("e", request_id="python-once"), first)
        self.assertEqual(self.sesior.publish("e", rooms=["r"]), first + 1)
        self.assertEqual(self.failure(lambda: self.sesior.publish("disconnect")).field, "broadcast.packet.args_json")

    def test_emits_to_users_and_sessions_once_for_a_request_id(self) -> None:
        session = self.sesior.create_session(user_id="py-emit").session
        to = {"user_ids": ["py-emit"], "session_ids": [session.id], "rooms": ["r"], "except_rooms": ["s"]}
        first = self.sesior.emit("e", {"n": 1}, b"\0\1", **to, request_id="python-emit")
        self.assertEqual(self.sesior.emit("e", request_id="python-emit"), first)
        self.assertEqual(self.sesior.emit("e", **to), first + 1)
        self.assertEqual(self.failure(lambda: self.sesior.emit("")).field, "event")
        self.assertEqual(self.failure(lambda: self.sesior.emit("e", user_ids=["a b"])).code, "INVALID_ARGUMENT")

    def test_a_claim_belongs_to_one_session(self) -> None:
        claim = {"namespace": "nick", "value": "py", "member": "nick"}
        one = self.sesior.create_session(claims=[claim])
        self.assertEqual((one.session.data, one.previous), ({"nick": "py"}, [None]))
        self.assertEqual(self.failure(lambda: self.sesior.create_session(claims=[claim])).reason, "CLAIM_TAKEN")
        renamed = self.sesior.update_session(one.session, claims=[{**claim, "value": "thon"}])
        self.assertEqual(renamed.previous, ["py"])

    def test_a_watch_tells_the_state_changes_and_the_end(self) -> None:
        session = self.sesior.create_session({"n": 0}).session
        kinds = []
        with self.sesior.watch(session.id, "there-is-none") as watch:
            for change in watch:
                if change.kind == "refused":
                    self.assertEqual((change.ref, change.verdict), ("there-is-none", "unknown"))
                    continue
                kinds.append(change.kind)
                if change.kind == "current":
                    self.sesior.update_session(session, {"n": 1})
                elif change.kind == "updated":
                    self.assertEqual(change.session.data, {"n": 1})
                    self.sesior.destroy_session(session, reason="banned")
                elif change.kind == "ended":
                    self.assertEqual(change.reason, "banned")
                    break
        self.assertEqual(kinds, ["current", "updated", "ended"])

    def test_a_watch_goes_on_over_a_broken_connection(self) -> None:
        proxy = Proxy(ADDRESSES[0])
        self.addCleanup(proxy.close)
        far = Sesior(proxy.address)
        self.addCleanup(far.close)
        stays, changes, ends = (self.sesior.create_session({"n": n}).session.id for n in range(3))
        watch = far.watch(stays, changes, ends)
        self.assertEqual({(c.kind, c.ref) for c in (next(watch) for _ in range(3))}, {("current", i) for i in (stays, changes, ends)})
        proxy.cut()
        self.sesior.update_session(changes, {"n": 9})
        self.sesior.destroy_session(ends)
        proxy.mend()
        self.assertEqual({(c.kind, c.ref) for c in (next(watch) for _ in range(2))}, {("updated", changes), ("ended", ends)})
        self.sesior.update_session(stays, {"n": 5})
        change = next(watch)
        self.assertEqual((change.kind, change.ref, change.session.data), ("updated", stays, {"n": 5}))
        threading.Timer(0.05, watch.close).start()
        with self.assertRaises(StopIteration):
            next(watch)

    def test_a_client_that_is_closed_ends_its_watches(self) -> None:
        own = Sesior(ADDRESSES)
        kinds = []
        for change in own.watch(own.create_session().session):
            kinds.append(change.kind)
            own.close()
        self.assertEqual(kinds, ["current"])

    def test_retries_unavailable_only_and_over_all_addresses(self) -> None:
        session = self.sesior.create_session().session
        with Sesior(["127.0.0.1:1", ADDRESSES[1]], timeout=10) as half:
            for _ in range(4):
                self.assertEqual(half.get_session(session.id).id, session.id)
            self.assertEqual(half.health(timeout=5), {"127.0.0.1:1": False, ADDRESSES[1]: True})
        with Sesior("127.0.0.1:1", timeout=10, max_tries=2) as none:
            started = time.monotonic()
            self.assertEqual(self.failure(lambda: none.get_session(session.id)).code, "UNAVAILABLE")
            self.assertLess(time.monotonic() - started, 10)
        self.assertEqual(self.failure(lambda: self.sesior.get_session(session.id, timeout=0)).code, "DEADLINE_EXCEEDED")

    def test_repeats_unavailable_only_and_shows_its_token(self) -> None:
        for code, failures, calls in (("UNAVAILABLE", 2, 3), ("UNAVAILABLE", 9, 3), ("INTERNAL", 1, 1), ("ABORTED", 1, 1)):
            seen = []

            class Server(session_pb2_grpc.SessionServiceServicer):
                def GetSession(self, request, context):
                    seen.append(dict(context.invocation_metadata()).get("authorization"))
                    if len(seen) <= failures:
                        context.abort(grpc.StatusCode[code], "no")
                    return session_pb2.GetSessionResponse(session=session_pb2.Session(session_id="s"))

            server = grpc.server(futures.ThreadPoolExecutor(1))
            session_pb2_grpc.add_SessionServiceServicer_to_server(Server(), server)
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            with self.subTest(code=code, failures=failures), Sesior(f"127.0.0.1:{port}", token=lambda: "t", timeout=30, max_tries=3) as client:
                if failures < calls:
                    self.assertEqual(client.get_session("s").id, "s")
                else:
                    self.assertEqual(self.failure(lambda: client.get_session("s")).code, code)
                self.assertEqual(seen, ["Bearer t"] * calls)
            server.stop(None)

    def test_who_is_online(self) -> None:
        self.assertEqual(self.sesior.list_online(), (0, []))
        self.assertEqual(self.sesior.count_online(), 0)

    def test_the_example_reads_the_cookie_of_a_request(self) -> None:
        whoami = Path(__file__).parent / "../examples/whoami.py"
        child = subprocess.Popen([sys.executable, str(whoami), *ADDRESSES], stdout=subprocess.PIPE, text=True)
        try:
            url = child.stdout.readline().strip()
            session = self.sesior.create_session(claims=[{"namespace": "userName", "value": "py ann", "member": "userName"}]).session

            def ask(headers) -> str:
                with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as response:
                    return response.read().decode()

            self.assertEqual(ask({"Cookie": cookie_of(session.id)}), "You are py ann.\n")
            self.assertEqual(ask({}), "I do not know you.\n")
        finally:
            child.terminate()
            child.wait()
            child.stdout.close()


if __name__ == "__main__":
    unittest.main()
