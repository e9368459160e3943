"""The same with middleware that is written against ASGI itself: what those write who have measured the other."""

from fastapi import FastAPI

from bench.apps.fastapi_stack_app import stacked


class Layer:
    def __init__(self, app, number):
        self.app, self.name = app, f"x-layer-{number}".encode()

    async def __call__(self, scope, receive, send):
        async def sending(message):
            if message["type"] == "http.response.start":
                message["headers"].append((self.name, b"1"))
            await send(message)

        await self.app(scope, receive, sending)


app = FastAPI()
for number in range(5):
    app.add_middleware(Layer, number=number)
app.get("/stack/{id}")(stacked)
