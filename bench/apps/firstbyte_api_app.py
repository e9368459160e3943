"""The application that is written in each framework alike, on firstbyte."""

from collections.abc import Iterator

from orders import Order  # the folder of an app that is given as a file is on the path

from firstbyte import App, Request

app = App()


@app.get("/items/{id:int}")
def item(id: int):  # noqa: A002 - the path's word
    return {"id": id, "name": f"Item {id}", "tags": ["new", "sale", "garden"], "price": 19.99}


@app.post("/orders")
def order(order: Order):
    return {"lines": len(order.lines), "total": sum(line.quantity * line.price for line in order.lines)}


# -- five middlewares and two providers

stack = App()


class Session:
    def __init__(self):
        self.open = True


class User:
    def __init__(self, name):
        self.name = name


def adding(number):
    def around(request: Request):
        response = yield
        response.headers[f"X-Layer-{number}"] = "1"
        return response

    return around


for number in range(5):
    stack.middleware(adding(number))


@stack.provide
def session() -> Iterator[Session]:
    session = Session()
    yield session
    session.open = False


@stack.provide
def user(session: Session) -> User:
    return User("somebody")


@stack.get("/stack/{id:int}")
def stacked(id: int, session: Session, user: User):  # noqa: A002
    return {"id": id, "user": user.name, "open": session.open}
