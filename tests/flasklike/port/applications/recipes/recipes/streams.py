"""Bodies that are made while they are sent."""

from flask import (
    Blueprint,
    Response,
    render_template_string,
    request,
    stream_template,
    stream_with_context,
)

from .store import connection

bp = Blueprint("streams", __name__)


@bp.get("/rows.csv")
def rows():
    recipes = connection.recipes()

    def generate():
        yield "slug,minutes\n"
        for recipe in recipes:
            yield f"{recipe.slug},{recipe.minutes}\n"

    return generate(), {"Content-Type": "text/csv"}


@bp.get("/hello")
def hello():
    @stream_with_context
    def generate():
        yield "Hello "
        yield request.args["name"]
        yield "!"

    return generate()


@bp.get("/rendered")
def rendered():
    def parts():
        for number in range(3):
            yield render_template_string("<{{ number }}>", number=number)

    def generate():
        yield "["
        yield from parts()
        yield "]"

    return Response(stream_with_context(generate()), mimetype="text/plain")


@bp.get("/page")
def page():
    return stream_template("index.html", recipes=connection.recipes())
