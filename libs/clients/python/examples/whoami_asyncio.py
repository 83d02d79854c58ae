"""As whoami.py, for asyncio, with aiohttp. python3 whoami_asyncio.py HOST:PORT of session replicas..."""

import asyncio
import os
import sys

from aiohttp import web

from sesior import SesiorError
from sesior.aio import Sesior


async def main() -> None:
    async with Sesior(sys.argv[1:] or "127.0.0.1:7100", token=os.environ.get("SESIOR_TOKEN")) as sesior:

        async def answer(request: web.Request) -> web.Response:
            try:
                found = await sesior.resolve_cookie(request.headers.get("Cookie"), touch=True)
            except SesiorError as error:
                # The service is away: that never means "logged out".
                return web.Response(status=503 if error.code == "UNAVAILABLE" else 500, headers={"Retry-After": "1"})
            headers = {"Set-Cookie": found.set_cookie} if found.set_cookie else {}
            known = found.session and found.session.data.get("userName", "a visitor")
            return web.Response(text=f"You are {known}.\n" if known else "I do not know you.\n", headers=headers)

        app = web.Application()
        app.router.add_get("/", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print("http://{}:{}".format(*runner.addresses[0]), flush=True)
        await asyncio.Event().wait()


asyncio.run(main())
