"""What the clients ask for: a small answer, and a large one."""

from firstbyte import App, Response

app = App()
PIECE = b"x" * (256 << 10)
LARGE = 100 << 20


@app.get("/")
def hello():
    return Response("Hello, World!", media_type="text/plain")


@app.get("/large")
def large():
    pieces = (PIECE for _ in range(LARGE // len(PIECE)))
    return Response(pieces, headers={"Content-Length": str(LARGE)}, media_type="application/octet-stream")
