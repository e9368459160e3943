"""The application on Starlette."""

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def item(request):
    number = request.path_params["id"]
    return JSONResponse({"id": number, "name": f"Item {number}", "tags": ["new", "sale", "garden"], "price": 19.99})


app = Starlette(routes=[Route("/items/{id:int}", item)])
