"""A proxy as one writes it with Starlette and httpx, for uvicorn; bodies are streamed."""

import os

import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

HOPS = frozenset((b"connection", b"host", b"keep-alive", b"te", b"transfer-encoding", b"upgrade"))
client = httpx.AsyncClient(base_url=os.environ["UPSTREAM"], limits=httpx.Limits(max_connections=None))


async def pass_on(request: Request) -> StreamingResponse:
    url = httpx.URL(path=request.url.path, query=request.url.query.encode() or None)
    headers = [(name, value) for name, value in request.headers.raw if name not in HOPS]
    headers.append((b"x-forwarded-for", (request.client.host if request.client else "").encode()))
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    asked = client.build_request(request.method, url, headers=headers, content=request.stream() if has_body else None)
    answer = await client.send(asked, stream=True)
    response = StreamingResponse(answer.aiter_raw(), answer.status_code, background=BackgroundTask(answer.aclose))
    response.raw_headers = [(name.lower(), value) for name, value in answer.headers.raw if name.lower() not in HOPS]
    return response


app = Starlette(routes=[Route("/{path:path}", pass_on, methods=["GET", "POST"])])
