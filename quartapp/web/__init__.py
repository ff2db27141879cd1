"""The pages that people use: HTML in, HTML out. May not import `api` or `errors`.

A view reads the form, calls the queries of `models`, and renders from plain rows; it never hands
an ORM entity to a template.
"""

from quart import Quart

from quartapp.web import health


def init_app(app: Quart) -> None:
    app.register_blueprint(health.blueprint)
