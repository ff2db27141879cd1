"""Exceptions, and the pages that people see."""

from flask import current_app, json, jsonify, render_template, request
from werkzeug.exceptions import HTTPException, NotFound


class InvalidUsage(Exception):
    """As in Flask's documentation."""

    status_code = 400

    def __init__(self, message, status_code=None, payload=None):
        super().__init__()
        self.message = message
        if status_code is not None:
            self.status_code = status_code
        self.payload = payload

    def to_dict(self):
        return {**(self.payload or {}), "message": self.message}


class InsufficientStorage(HTTPException):
    code = 507
    description = "Not enough storage space."


class StoreError(Exception):
    pass


class StoreBusy(StoreError):
    pass


def page(error, code):
    """An error page, or JSON for the API."""
    if request.path.startswith("/api/"):
        return jsonify(error=error.description), code
    return render_template("error.html", error=error), code


def page_not_found(error):
    return page(error, 404)


def invalid_usage(error):
    response = jsonify(error.to_dict())
    response.status_code = error.status_code
    return response


def init_app(app):
    app.register_error_handler(404, page_not_found)
    app.register_error_handler(InvalidUsage, invalid_usage)

    @app.errorhandler(405)
    def method_not_allowed(error):
        response = error.get_response()
        response.data = json.dumps({"code": error.code, "name": error.name})
        response.content_type = "application/json"
        return response

    @app.errorhandler(InsufficientStorage)
    def handle_507(error):
        return error.description, error.code

    @app.errorhandler(StoreError)
    def store_error(error):
        current_app.logger.info("store: %s", type(error).__name__)
        return render_template("error.html", error=NotFound(str(error))), 503

    @app.errorhandler(500)
    def server_error(error):
        original = getattr(error, "original_exception", None)
        return render_template("error.html", error=error, original=original), 500
