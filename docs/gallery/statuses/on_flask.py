"""The ways to say which status and headers an answer has."""

from http import HTTPStatus
from typing import Any

from flask import Flask, Response, make_response, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse

app = Flask(__name__)


@app.get("/number")
def number() -> tuple[str, int]:
    return "accepted", 202


@app.get("/text")
def text() -> Any:  # the type of views allows for numbers only
    return "short and stout", "418 I am a teapot"


@app.get("/enum")
def enum() -> tuple[str, HTTPStatus]:
    return "conflict", HTTPStatus.CONFLICT


@app.get("/headers")
def headers() -> tuple[str, dict[str, str]]:
    return "with headers", {"X-Answer": "42"}


@app.get("/all")
def all_three() -> tuple[dict[str, str], int, list[tuple[str, str]]]:
    return {"state": "queued"}, 202, [("Retry-After", "5"), ("X-Queue", "mail")]


@app.get("/made")
def made() -> Response:
    response = make_response("made by hand", 203)
    response.headers["X-Made"] = "yes"
    return response


@app.post("/empty")
def empty() -> tuple[str, int]:
    return "", 201


@app.post("/posts")
def created() -> tuple[dict[str, int], int, dict[str, str]]:
    return {"id": 7}, 201, {"Location": url_for("post", number=7)}


@app.get("/posts/<int:number>")
def post(number: int) -> str:
    return f"post {number}"


@app.get("/latest")
def latest() -> BaseResponse:
    return redirect(url_for("post", number=9), 303)


@app.delete("/posts/<int:number>")
def delete(number: int) -> tuple[str, int]:
    return "", 204
