"""Five middlewares and two dependencies on FastAPI, as its documentation writes them."""

from typing import Annotated

from fastapi import Depends, FastAPI

app = FastAPI()


class Session:
    def __init__(self):
        self.open = True


def adding(number):
    async def around(request, call_next):
        response = await call_next(request)
        response.headers[f"X-Layer-{number}"] = "1"
        return response

    return around


for number in range(5):
    app.middleware("http")(adding(number))


async def session():
    session = Session()
    yield session
    session.open = False


async def user(session: Annotated[Session, Depends(session)]):
    return "somebody"


@app.get("/stack/{id}")
async def stacked(id: int, session: Annotated[Session, Depends(session)], user: Annotated[str, Depends(user)]):  # noqa: A002
    return {"id": id, "user": user, "open": session.open}
