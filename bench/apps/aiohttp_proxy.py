"""A proxy as one writes it with aiohttp: its server, and one session of its client; bodies are streamed."""

import sys

import aiohttp
from aiohttp import web

HOPS = frozenset(("connection", "host", "keep-alive", "te", "transfer-encoding", "upgrade"))


async def pass_on(request: web.Request) -> web.StreamResponse:
    headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOPS]
    headers += [("X-Forwarded-For", request.remote or ""), ("X-Forwarded-Proto", request.scheme)]
    body = request.content if request.body_exists else None
    session: aiohttp.ClientSession = request.app["session"]
    async with session.request(
        request.method, UPSTREAM + request.raw_path, headers=headers, data=body, allow_redirects=False
    ) as answer:
        kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOPS]
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        for name, value in kept:
            response.headers.add(name, value)
        await response.prepare(request)
        async for piece in answer.content.iter_any():
            await response.write(piece)
        await response.write_eof()
        return response


async def opened(app: web.Application) -> None:
    app["session"] = aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(limit=0))


if __name__ == "__main__":
    import uvloop

    UPSTREAM, port = sys.argv[1], int(sys.argv[2])
    uvloop.install()
    app = web.Application()
    app.on_startup.append(opened)
    app.router.add_route("*", "/{path:.*}", pass_on)
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)
