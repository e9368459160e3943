"""Users, to be listed, made, changed and removed: a REST API that describes itself at /docs.

`firstbyte run examples/users.py` serves it. Pages of the origin that USERS_ORIGIN names may ask it as well.
"""

import enum
import os
from datetime import UTC, datetime
from threading import Lock
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from firstbyte import App, HTTPError
from firstbyte.app.openapi import OpenAPI, describe
from firstbyte.app.params import Query
from firstbyte.batteries.cors import cors

MOST = 10_000  # users that are kept

app = App()
app.install(OpenAPI(title="Users", version="1.0.0", description="The users of an imaginary site."))
app.middleware(cors(os.environ.get("USERS_ORIGIN", "http://localhost:3000")))  # which answers preflights, too


class Role(enum.Enum):
    """What a user may do."""

    READER = "reader"
    WRITER = "writer"
    OWNER = "owner"


Name = Annotated[str, Meta(min_length=1, max_length=100, description="As the user is called.")]
Email = Annotated[str, Meta(max_length=200, pattern="^[^@ ]+@[^@ ]+$")]


class NewUser(Struct, forbid_unknown_fields=True):
    """A user as a client makes one."""

    name: Name
    email: Email
    role: Role = Role.READER


class User(NewUser, kw_only=True):
    """A user as the site knows one."""

    id: int
    created: datetime


class Changes(Struct, forbid_unknown_fields=True):
    """What of a user is to become something else; what is left out stays."""

    name: Name | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    role: Role | UnsetType = UNSET


class Page(Struct):
    """Which users are listed."""

    role: Role | None = None
    page: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    size: Annotated[int, Meta(ge=1, le=100, description="How many there are on a page.")] = 20


users: dict[int, User] = {}
lock = Lock()  # handlers run in several threads
GONE = {404: "There is no such user."}
TAKEN = {409: "The e-mail address is another user's, or there are too many users."}


@app.get("/users")
@describe(tags=["users"])
def list_users(which: Annotated[Page, Query()]) -> list[User]:
    """List users, the oldest first.

    The last page is the first one that is not full.
    """
    with lock:
        found = [user for user in users.values() if which.role in (None, user.role)]
    return found[(which.page - 1) * which.size :][: which.size]


@app.post("/users")
@describe(tags=["users"], errors=TAKEN)
def create_user(new: NewUser) -> tuple[User, Literal[201], dict[str, str]]:
    """Make a user."""
    with lock:
        if len(users) >= MOST:
            raise HTTPError(409, f"there are {MOST} users already")
        user = User(**structs.asdict(new), id=max(users, default=0) + 1, created=datetime.now(UTC))
        keep(user)
    return user, 201, {"Location": app.url_for("user", id=user.id)}


@app.get("/users/{id}", name="user")
@describe(tags=["users"], errors=GONE)
def get_user(id: int) -> User:
    """Show a user."""
    return found(id)


@app.put("/users/{id}")
@describe(tags=["users"], errors=GONE | TAKEN)
def replace_user(id: int, new: NewUser) -> User:
    """Say all of a user anew."""
    with lock:
        return keep(structs.replace(found(id), **structs.asdict(new)))


@app.patch("/users/{id}")
@describe(tags=["users"], errors=GONE | TAKEN)
def change_user(id: int, changes: Changes) -> User:
    """Change some of a user."""
    with lock:
        said = {name: value for name, value in structs.asdict(changes).items() if value is not UNSET}
        return keep(structs.replace(found(id), **said))


@app.delete("/users/{id}")
@describe(tags=["users"], errors=GONE)
def remove_user(id: int) -> None:
    """Remove a user."""
    with lock:
        del users[found(id).id]


def found(id: int) -> User:
    if id not in users:
        raise HTTPError(404, f"there is no user {id}")
    return users[id]


def keep(user: User) -> User:
    if any(user.email == other.email and user.id != other.id for other in users.values()):
        raise HTTPError(409, f"{user.email} is the address of another user")
    users[user.id] = user
    return user
