"""Debian's python3-socketio with a session, against the example application.

usage: client.py sync|asyncio polling|websocket|default URL COOKIE NAME NEXT_NAME
Is refused without the cookie; with it, announces NAME, renames itself to NEXT_NAME, waits until somebody else takes the
name "heard by NEXT_NAME", and leaves.
"""
import asyncio
import sys
import threading

import socketio

PATIENCE = 20  # seconds


def same(got, wanted):
    if got != wanted:
        raise AssertionError(f"{got!r} is not {wanted!r}")


def run_sync(transports, url, cookie, name, next_name):
    stranger = socketio.Client(reconnection=False)
    refused = []
    over = threading.Event()
    stranger.on("connect_error", lambda reason: (refused.append(reason), over.set()))
    stranger.connect(url, transports=transports, wait=False)
    over.wait(PATIENCE)
    same(refused, [{"message": "Not authorized"}])
    stranger.disconnect()

    client = socketio.Client()
    heard = threading.Event()

    @client.on("user:renamed")
    def renamed(data):
        if data["user"]["userName"] == "heard by " + next_name:
            heard.set()

    client.connect(url, headers={"Cookie": cookie}, transports=transports, wait_timeout=PATIENCE)
    error, users = client.call("user:connected", name, timeout=PATIENCE)
    same((error, users[name]), (None, {"userName": name}))
    answer = client.call("user:rename", next_name, timeout=PATIENCE)
    same(list(answer), [None, {"oldUserName": name, "user": {"userName": next_name}}])
    if not heard.wait(PATIENCE):
        raise AssertionError("the other's rename was not heard")
    client.disconnect()


async def run_async(transports, url, cookie, name, next_name):
    stranger = socketio.AsyncClient(reconnection=False)
    refused = asyncio.get_running_loop().create_future()

    @stranger.on("connect_error")
    async def on_refused(reason):
        refused.set_result(reason)

    await stranger.connect(url, transports=transports, wait=False)
    same(await asyncio.wait_for(refused, PATIENCE), {"message": "Not authorized"})
    await stranger.disconnect()

    client = socketio.AsyncClient()
    heard = asyncio.Event()

    @client.on("user:renamed")
    async def renamed(data):
        if data["user"]["userName"] == "heard by " + next_name:
            heard.set()

    await client.connect(url, headers={"Cookie": cookie}, transports=transports, wait_timeout=PATIENCE)
    error, users = await client.call("user:connected", name, timeout=PATIENCE)
    same((error, users[name]), (None, {"userName": name}))
    answer = await client.call("user:rename", next_name, timeout=PATIENCE)
    same(list(answer), [None, {"oldUserName": name, "user": {"userName": next_name}}])
    await asyncio.wait_for(heard.wait(), PATIENCE)
    await client.disconnect()


def main(kind, way, *rest):
    transports = None if way == "default" else [way]
    if kind == "sync":
        run_sync(transports, *rest)
    else:
        asyncio.run(run_async(transports, *rest))


main(*sys.argv[1:])
