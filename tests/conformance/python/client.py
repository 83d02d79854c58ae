"""Debian's python3-socketio against a server with the namespace /clients: events, acknowledgements both ways, binary,
rooms, refusals, and coming back after the server was killed.

usage: client.py sync|asyncio polling|websocket|default URL
Says "ready to lose the server" when it wants the server killed and started again; ends with "done", or with a traceback.
"""
import asyncio
import queue
import sys
import threading

import socketio

PATIENCE = 20  # seconds
NAMESPACE = "/clients"
HEARD = ("echoed", "answered", "said", "disconnect", "connect", "connect_error")


class Peer:
    """What a scenario needs of either client, without its async: the events it heard, in order."""

    def __init__(self, namespace=NAMESPACE):
        self.namespace = namespace
        self.heard = queue.Queue()

    def next(self, name):
        while True:
            event, args = self.heard.get(timeout=PATIENCE)
            if event == name:
                return args


class SyncPeer(Peer):
    def __init__(self, url, transports, namespace=NAMESPACE, wait=True):
        super().__init__(namespace)
        self.client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.5)
        # It hands each message to a thread of its own, which overtake each other, attachments too. Here the thread that
        # reads does it, so that the order seen is the server's.
        trigger = self.client.eio._trigger_event
        self.client.eio._trigger_event = lambda event, *args, run_async=False: trigger(event, *args)
        for name in HEARD:
            self.client.on(name, lambda *args, name=name: self.heard.put((name, args)), namespace=namespace)
        self.client.on("question", lambda what: ("for", what), namespace=namespace)
        self.client.connect(url, transports=transports, namespaces=[namespace], wait=wait, wait_timeout=PATIENCE)

    def transport(self):
        return self.client.transport()

    def emit(self, *args):
        self.client.emit(args[0], data=tuple(args[1:]), namespace=self.namespace)

    def ask(self, *args):
        return self.client.call(args[0], data=tuple(args[1:]), namespace=self.namespace, timeout=PATIENCE)

    def close(self):
        self.client.disconnect()


class AsyncPeer(Peer):
    loop = None

    def __init__(self, url, transports, namespace=NAMESPACE, wait=True):
        super().__init__(namespace)
        if AsyncPeer.loop is None:
            AsyncPeer.loop = asyncio.new_event_loop()
            threading.Thread(target=AsyncPeer.loop.run_forever, daemon=True).start()
        self._run(self._connect(url, transports, wait))

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    async def _connect(self, url, transports, wait):
        self.client = socketio.AsyncClient(reconnection_delay=0.1, reconnection_delay_max=0.5)
        for name in HEARD:
            self.client.on(name, self._recorder(name), namespace=self.namespace)

        async def answer(what):
            return "for", what

        self.client.on("question", answer, namespace=self.namespace)
        await self.client.connect(
            url, transports=transports, namespaces=[self.namespace], wait=wait, wait_timeout=PATIENCE
        )

    def _recorder(self, name):
        async def record(*args):
            self.heard.put((name, args))

        return record

    def transport(self):
        return self.client.transport()

    def emit(self, *args):
        self._run(self.client.emit(args[0], data=tuple(args[1:]), namespace=self.namespace))

    def ask(self, *args):
        return self._run(self.client.call(args[0], data=tuple(args[1:]), namespace=self.namespace, timeout=PATIENCE))

    def close(self):
        self._run(self.client.disconnect())


def same(got, wanted):
    if got != wanted:
        raise AssertionError(f"{got!r} is not {wanted!r}")


def main(kind, way, url):
    make = SyncPeer if kind == "sync" else AsyncPeer
    transports = None if way == "default" else [way]

    peer = make(url, transports)
    same(peer.transport(), "websocket" if way == "default" else way)

    # events and acknowledgements, both ways, binary too
    values = (1, -0.5, "x€😀", None, True, {"deep": [{"blob": bytes(range(256))}]}, [])
    peer.emit("echo", *values)
    same(peer.next("echoed"), values)
    same(peer.ask("ask", b"\x00\xff", "x"), (b"\x00\xff", "x"))
    peer.emit("ask me", 42)
    same(peer.next("answered"), (["for", 42],))

    # order and completeness
    for i in range(300):
        peer.emit("echo", i)
    same([peer.next("echoed")[0] for _ in range(300)], list(range(300)))

    # rooms
    other = make(url, transports)
    same(other.ask("join", "room"), True)
    peer.emit("say", "room", "to the room")
    same(other.next("said"), ("to the room",))
    same(other.ask("leave", "room"), True)
    peer.emit("say", "room", "to nobody")
    peer.emit("say", None, "to all")
    same(other.next("said"), ("to all",))
    other.close()

    # a namespace that is not there
    refused = make(url, transports, namespace="/nowhere", wait=False)
    same(refused.next("connect_error")[0], {"message": "Invalid namespace"})
    refused.close()

    # the server dies, and another takes its place
    print("ready to lose the server", flush=True)
    peer.next("disconnect")
    peer.next("connect")
    same(peer.ask("ask", "back"), "back")
    peer.close()
    print("done", flush=True)


main(*sys.argv[1:])
