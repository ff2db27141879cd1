"""The ways to say which status and headers an answer has."""

from http import HTTPStatus
from typing import Any

from quart import Response, make_response
from werkzeug.wrappers import Response as BaseResponse

from quartapp.flasklike import App, redirect, url_for

app = App(__name__)


@app.get("/number")
async def number() -> tuple[str, int]:
    return "accepted", 202


@app.get("/text")
async def text() -> Any:  # the type of views allows for numbers only
    return "short and stout", "418 I am a teapot"


@app.get("/enum")
async def enum() -> tuple[str, HTTPStatus]:
    return "conflict", HTTPStatus.CONFLICT


@app.get("/headers")
async def headers() -> tuple[str, dict[str, str]]:
    return "with headers", {"X-Answer": "42"}


@app.get("/all")
async def all_three() -> tuple[dict[str, str], int, list[tuple[str, str]]]:
    return {"state": "queued"}, 202, [("Retry-After", "5"), ("X-Queue", "mail")]


@app.get("/made")
async def made() -> Response | BaseResponse:
    response = await make_response("made by hand", 203)
    response.headers["X-Made"] = "yes"
    return response


@app.post("/empty")
async def empty() -> tuple[str, int]:
    return "", 201


@app.post("/posts")
async def created() -> tuple[dict[str, int], int, dict[str, str]]:
    return {"id": 7}, 201, {"Location": url_for("post", number=7)}


@app.get("/posts/<int:number>")
async def post(number: int) -> str:
    return f"post {number}"


@app.get("/latest")
async def latest() -> BaseResponse:
    return redirect(url_for("post", number=9), 303)


@app.delete("/posts/<int:number>")
async def delete(number: int) -> tuple[str, int]:
    return "", 204
