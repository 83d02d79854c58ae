"""The client for asyncio against a live service."""

import asyncio
import functools
import subprocess
import sys
import unittest
import urllib.request
from datetime import timedelta
from pathlib import Path

from sesior import SesiorError
from sesior.aio import Sesior
from support import ADDRESSES, Proxy, cookie_of

PATIENCE = 20


async def following(watch):
    return await asyncio.wait_for(watch.__anext__(), PATIENCE)


# One loop for all tests, as in an application: grpc.aio hands what is left of a loop that is closed to nobody, and says so.
LOOP = asyncio.new_event_loop()


def on_the_loop(test):
    @functools.wraps(test)
    def run(self):
        async def whole():
            async with Sesior(ADDRESSES) as self.sesior:
                await asyncio.wait_for(test(self), 5 * PATIENCE)

        LOOP.run_until_complete(whole())

    return run


class AioTest(unittest.TestCase):
    @classmethod
    def tearDownClass(cls) -> None:
        LOOP.close()

    async def failure(self, call) -> SesiorError:
        with self.assertRaises(SesiorError) as caught:
            await call
        return caught.exception

    @on_the_loop
    async def test_makes_reads_changes_and_ends_a_session(self) -> None:
        made = await self.sesior.create_session({"a": 1}, user_id="ann", idle_ttl=timedelta(minutes=1))
        header = cookie_of(made.session.id)
        resolved = await self.sesior.resolve_cookie(header, touch=True)
        self.assertEqual((resolved.verdict, resolved.session.user_id), ("valid", "ann"))
        changed = await self.sesior.update_session({"cookie": header}, {"b": 2, "a": None}, etag=made.session.etag)
        self.assertEqual(changed.session.data, {"b": 2})
        self.assertFalse(await self.sesior.touch_session(made.session))
        new = (await self.sesior.regenerate_session(made.session, patch={"c": 3})).session
        self.assertEqual(new.data, {"b": 2, "c": 3})
        self.assertIsNone(await self.sesior.get_session(made.session.id))
        self.assertTrue(await self.sesior.destroy_session(new))
        self.assertFalse(await self.sesior.destroy_session(new))

    @on_the_loop
    async def test_many_calls_at_once(self) -> None:
        made = await asyncio.gather(*(self.sesior.create_session({"n": n}) for n in range(120)))
        found = await self.sesior.get_sessions([*(each.session.id for each in made), "there-is-none"])
        self.assertEqual(sorted(session.data["n"] for session in found.values()), list(range(120)))

    @on_the_loop
    async def test_lists_the_sessions_of_a_user_and_ends_them(self) -> None:
        made = [(await self.sesior.create_session({"n": n}, user_id="aio-lister")).session for n in range(2)]
        listed = await self.sesior.list_sessions(caller=made[0])
        self.assertEqual({each.handle: each.current for each in listed}, {made[0].handle: True, made[1].handle: False})
        self.assertEqual(await self.sesior.end_user_sessions("aio-lister"), 2)

    @on_the_loop
    async def test_errors_say_what_is_wrong(self) -> None:
        session = (await self.sesior.create_session()).session
        stale = await self.failure(self.sesior.update_session(session, {"a": 1}, etag='"' + "0" * 40 + '"'))
        self.assertEqual((stale.code, stale.reason, stale.field), ("ABORTED", "ETAG_MISMATCH", "etag"))
        with self.assertRaises(ValueError):
            Sesior("")

    @on_the_loop
    async def test_publishes_once_for_a_request_id(self) -> None:
        first = await self.sesior.publish("e", {"b": b"\0\1"}, request_id="asyncio-once")
        self.assertEqual(await self.sesior.publish("e", request_id="asyncio-once"), first)
        self.assertEqual(await self.sesior.emit("e", b"x", user_ids=["ann"]), first + 1)
        self.assertEqual(await self.sesior.list_online(), (0, []))
        self.assertEqual(await self.sesior.count_online(), 0)

    @on_the_loop
    async def test_a_watch_tells_the_state_changes_and_the_end(self) -> None:
        session = (await self.sesior.create_session({"n": 0})).session
        kinds = []
        async with self.sesior.watch(session.id) as watch:
            watch.add("there-is-none")
            async for change in watch:
                if change.kind == "refused":
                    self.assertEqual((change.ref, change.verdict), ("there-is-none", "unknown"))
                    continue
                kinds.append(change.kind)
                if change.kind == "current":
                    await self.sesior.update_session(session, {"n": 1})
                elif change.kind == "updated":
                    self.assertEqual(change.session.data, {"n": 1})
                    await self.sesior.destroy_session(session, reason="banned")
                elif change.kind == "ended":
                    self.assertEqual(change.reason, "banned")
                    break
        self.assertEqual(kinds, ["current", "updated", "ended"])

    @on_the_loop
    async def test_a_watch_goes_on_over_a_broken_connection(self) -> None:
        proxy = Proxy(ADDRESSES[0])
        self.addCleanup(proxy.close)
        far = Sesior(proxy.address)
        stays, changes, ends = [(await self.sesior.create_session({"n": n})).session.id for n in range(3)]
        watch = far.watch(stays, changes, ends)
        told = {(change.kind, change.ref) for change in [await following(watch) for _ in range(3)]}
        self.assertEqual(told, {("current", i) for i in (stays, changes, ends)})
        proxy.cut()
        await self.sesior.update_session(changes, {"n": 9})
        await self.sesior.destroy_session(ends)
        proxy.mend()
        told = {(change.kind, change.ref) for change in [await following(watch) for _ in range(2)]}
        self.assertEqual(told, {("updated", changes), ("ended", ends)})
        waiting = asyncio.ensure_future(following(watch))
        await self.sesior.update_session(stays, {"n": 5})
        change = await waiting
        self.assertEqual((change.kind, change.ref, change.session.data), ("updated", stays, {"n": 5}))
        await far.close()

    @on_the_loop
    async def test_closing_ends_a_loop_that_waits_and_so_does_the_client(self) -> None:
        for closes_client in (False, True):
            own = Sesior(ADDRESSES)
            watch = own.watch((await own.create_session()).session)
            self.assertEqual((await following(watch)).kind, "current")
            waiting = asyncio.ensure_future(following(watch))
            await asyncio.sleep(0)
            if closes_client:
                await own.close()
            else:
                watch.close()
            with self.assertRaises(StopAsyncIteration):
                await waiting
            await own.close()

    @on_the_loop
    async def test_a_task_that_is_cancelled_is_cancelled(self) -> None:
        watch = self.sesior.watch((await self.sesior.create_session()).session)
        self.assertEqual((await following(watch)).kind, "current")
        waiting = asyncio.ensure_future(watch.__anext__())
        await asyncio.sleep(0)
        waiting.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await waiting

    @on_the_loop
    async def test_retries_unavailable_only_and_over_all_addresses(self) -> None:
        session = (await self.sesior.create_session()).session
        async with Sesior(["127.0.0.1:1", ADDRESSES[1]], timeout=10) as half:
            for _ in range(4):
                self.assertEqual((await half.get_session(session.id)).id, session.id)
            self.assertEqual(await half.health(timeout=5), {"127.0.0.1:1": False, ADDRESSES[1]: True})
        async with Sesior("127.0.0.1:1", timeout=10, max_tries=2) as none:
            self.assertEqual((await self.failure(none.get_session(session.id))).code, "UNAVAILABLE")
        self.assertEqual((await self.failure(self.sesior.get_session(session.id, timeout=0))).code, "DEADLINE_EXCEEDED")

    @on_the_loop
    async def test_the_example_reads_the_cookie_of_a_request(self) -> None:
        whoami = Path(__file__).parent / "../examples/whoami_asyncio.py"
        child = subprocess.Popen([sys.executable, str(whoami), *ADDRESSES], stdout=subprocess.PIPE, text=True)
        try:
            url = child.stdout.readline().strip()
            claim = {"namespace": "userName", "value": "asyncio ann", "member": "userName"}
            session = (await self.sesior.create_session(claims=[claim])).session

            def ask(headers) -> str:
                with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as response:
                    return response.read().decode()

            self.assertEqual(await asyncio.to_thread(ask, {"Cookie": cookie_of(session.id)}), "You are asyncio ann.\n")
            self.assertEqual(await asyncio.to_thread(ask, {}), "I do not know you.\n")
        finally:
            child.terminate()
            child.wait()
            child.stdout.close()


if __name__ == "__main__":
    unittest.main()
