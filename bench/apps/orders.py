"""What is posted to the applications whose models are msgspec's."""

from typing import Annotated

import msgspec

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Address(msgspec.Struct):
    street: Name
    city: Name
    zip: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Z -]{3,10}$")]
    country: Annotated[str, msgspec.Meta(min_length=2, max_length=2)]


class Line(msgspec.Struct):
    sku: Annotated[str, msgspec.Meta(min_length=4, max_length=32)]
    quantity: Annotated[int, msgspec.Meta(ge=1, le=100)]
    price: Annotated[float, msgspec.Meta(ge=0)]
    tags: list[str] = []


class Order(msgspec.Struct):
    customer: Name
    billing: Address
    shipping: Address
    lines: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=50)]
    note: str | None = None
