"""A site for recipes, written for Flask with the idioms of its documentation."""

import logging

from flask import Flask, g, got_request_exception, request, template_rendered

from . import api, auth, commands, errors, pages, streams
from .converters import SlugConverter
from .json import RecipeJSONProvider
from .store import Store

log = logging.getLogger(__name__)


def create_app(config=None):
    """The application factory."""
    app = Flask(__name__, instance_relative_config=True)
    app.config.from_object("recipes.settings.Default")
    app.config.from_pyfile("settings.cfg", silent=True)
    app.config.from_prefixed_env("RECIPES")
    if config is not None:
        app.config.from_mapping(config)
    app.json = RecipeJSONProvider(app)
    app.url_map.converters["slug"] = SlugConverter
    app.extensions["store"] = Store()
    app.extensions["rendered"] = []
    app.extensions["failed"] = []

    register_hooks(app)
    register_templates(app)
    errors.init_app(app)
    commands.init_app(app)
    app.register_blueprint(auth.bp)
    app.register_blueprint(pages.bp)
    app.register_blueprint(streams.bp, url_prefix="/stream")
    app.register_blueprint(api.bp)
    app.add_url_rule("/", endpoint="index", view_func=pages.index)
    app.add_url_rule("/health", view_func=lambda: ("ok", {"Content-Type": "text/plain"}))
    return app


def register_hooks(app):
    """Functions that run around requests."""

    @app.before_request
    def count():
        g.steps = ["before"]
        app.extensions["store"].visits += 1

    @app.after_request
    def add_header(response):
        g.steps.append("after")
        response.headers["X-Steps"] = ",".join(g.steps)
        if response.mimetype == "application/json":
            response.headers["X-Size"] = len(response.get_data())
        return response

    @app.teardown_request
    def note(error):
        if error is not None:
            app.extensions["failed"].append(type(error).__name__)

    @app.teardown_appcontext
    def close(error=None):
        connection = g.pop("connection", None)
        if connection is not None:
            connection.close()

    @template_rendered.connect_via(app)
    def remember(sender, template, context, **extra):
        app.extensions["rendered"].append(template.name)

    @got_request_exception.connect_via(app)
    def log_exception(sender, exception, **extra):
        log.warning("failed at %s: %r", request.path, exception)


def register_templates(app):
    """Filters, tests, globals and what every template has."""

    @app.template_filter()
    def minutes(value):
        hours, rest = divmod(value, 60)
        return f"{hours} h {rest} min" if hours else f"{rest} min"

    @app.template_test("quick")
    def is_quick(recipe):
        return recipe.minutes <= 30

    @app.template_global()
    def star(count):
        return "*" * count

    @app.context_processor
    def inject():
        def plural(number, word):
            return f"{number} {word}" if number == 1 else f"{number} {word}s"

        return {"site": app.config["SITE_NAME"], "plural": plural}

    @app.shell_context_processor
    def shell():
        return {"store": app.extensions["store"]}
