"""The JSON API."""

from flask import Blueprint, Response, current_app, g, jsonify, request, url_for
from flask.views import MethodView

from .errors import InvalidUsage
from .store import Recipe, connection

bp = Blueprint("api", __name__, url_prefix="/api")
admin = Blueprint("admin", __name__, url_prefix="/admin")


@bp.before_request
def check_version():
    g.steps.append("api")
    if request.headers.get("X-Version", "1") != "1":
        raise InvalidUsage("unknown version", status_code=406, payload={"known": ["1"]})


@bp.errorhandler(KeyError)
def missing_key(error):
    return jsonify(missing=str(error.args[0])), 400


def require(*names):
    """The values of a JSON document, in order."""
    document = request.get_json()
    return [document[name] for name in names]


class Recipes(MethodView):
    def get(self):
        return jsonify([recipe for recipe in connection.recipes()])

    def post(self):
        slug, title = require("slug", "title")
        extra = {key: value for key, value in request.json.items() if key in ("minutes", "text")}
        recipe = connection.save(Recipe(slug, title, **extra))
        location = url_for("api.recipe", slug=recipe.slug)
        return jsonify(recipe), 201, {"Location": location}


class OneRecipe(MethodView):
    def recipe(self, slug):
        found = connection.find(slug)
        if found is None:
            raise InvalidUsage("no such recipe", status_code=404)
        return found

    def get(self, slug):
        return self.recipe(slug).as_dict()

    def patch(self, slug):
        recipe = self.recipe(slug)
        for key, value in (request.get_json(silent=True) or {}).items():
            setattr(recipe, key, value)
        return jsonify(recipe)

    def delete(self, slug):
        connection.delete(self.recipe(slug).slug)
        return "", 204


bp.add_url_rule("/recipes", view_func=Recipes.as_view("recipes"))
bp.add_url_rule("/recipes/<slug:slug>", view_func=OneRecipe.as_view("recipe"))


@bp.post("/echo")
def echo():
    return Response(request.get_data(), mimetype=request.mimetype)


@bp.post("/sum")
def total():
    return {"sum": sum(int(value) for value in request.values.getlist("n"))}


@bp.post("/all")
def check_all():
    return {"all": all(request.get_json().get(name) for name in request.args.getlist("name"))}


@admin.get("/visits")
def visits():
    return {"visits": current_app.extensions["store"].visits}


@admin.errorhandler(404)
def not_here(error):
    return {"where": "admin"}, 404


@admin.get("/nothing")
def nothing():
    from flask import abort

    abort(404)


bp.register_blueprint(admin)
