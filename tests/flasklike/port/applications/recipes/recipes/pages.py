"""Pages for people."""

from functools import wraps
from io import BytesIO

from flask import (
    Blueprint,
    abort,
    after_this_request,
    current_app,
    flash,
    g,
    get_flashed_messages,
    make_response,
    redirect,
    render_template,
    render_template_string,
    request,
    send_file,
    send_from_directory,
    session,
    url_for,
)
from flask.views import MethodView, View
from werkzeug.utils import secure_filename

from .auth import login_required
from .errors import InsufficientStorage, StoreBusy
from .store import Recipe, connection

bp = Blueprint("pages", __name__)
cache = {}


def cached(timeout=60, key="view/{}"):
    """As in Flask's documentation."""

    def decorator(f):
        @wraps(f)
        def decorated_function(*args, **kwargs):
            cache_key = key.format(request.path)
            rv = cache.get(cache_key)
            if rv is not None:
                return rv
            rv = f(*args, **kwargs)
            cache[cache_key] = rv
            return rv

        return decorated_function

    return decorator


def templated(template=None):
    """As in Flask's documentation: a view returns what its template shows."""

    def decorator(f):
        @wraps(f)
        def decorated_function(*args, **kwargs):
            template_name = template
            if template_name is None:
                template_name = f"{request.endpoint.replace('.', '/')}.html"
            ctx = f(*args, **kwargs)
            if ctx is None:
                ctx = {}
            elif not isinstance(ctx, dict):
                return ctx
            return render_template(template_name, **ctx)

        return decorated_function

    return decorator


@bp.url_defaults
def add_language(endpoint, values):
    if "lang" in values or "lang" not in g:
        return
    if current_app.url_map.is_endpoint_expecting(endpoint, "lang"):
        values["lang"] = g.lang


@bp.url_value_preprocessor
def pull_language(endpoint, values):
    g.lang = (values or {}).pop("lang", None)


@bp.get("/recipes")
def index():
    words = request.args.get("q", "")
    found = [recipe for recipe in connection.recipes() if words.lower() in recipe.title.lower()]
    return render_template("index.html", recipes=found[: current_app.config["PER_PAGE"]])


@bp.get("/<any(de, en):lang>/about")
@templated("about.html")
def about():
    return {"lang": g.lang, "other": url_for(".about", lang="de" if g.lang == "en" else "en")}


@bp.get("/slow")
@cached(key="slow/{}")
def slow():
    session["slow"] = session.get("slow", 0) + 1
    return render_template_string("computed at step {{ g.steps|length }}")


def find(slug):
    recipe = connection.find(slug)
    if recipe is None:
        abort(404, f"There is no recipe {slug}.")
    return recipe


class RecipeForm:
    """What a form library does."""

    def __init__(self, data):
        self.data = data
        self.errors = {}

    @classmethod
    def of_request(cls):
        return cls(request.form)

    def validate(self):
        if not self.data.get("title"):
            self.errors["title"] = "A title is required."
        if not self.data.get("minutes", "").isdigit():
            self.errors["minutes"] = "Minutes are a number."
        return not self.errors


class Edit(MethodView):
    decorators = [login_required]
    init_every_request = False

    def get(self, slug):
        return render_template("edit.html", recipe=find(slug), errors={})

    def post(self, slug):
        recipe = find(slug)
        form = RecipeForm.of_request()
        if not form.validate():
            for message in form.errors.values():
                flash(message, "error")
            return render_template("edit.html", recipe=recipe, errors=form.errors), 422
        recipe.title = form.data["title"]
        recipe.minutes = int(form.data["minutes"])
        recipe.tags = request.form.getlist("tag")
        flash("Saved.")
        return redirect(url_for(".show", slug=slug))


class Show(View):
    methods = ["GET"]

    def __init__(self, template):
        self.template = template

    def dispatch_request(self, slug):
        recipe = find(slug)

        @after_this_request
        def remember(response):
            response.set_cookie("last", recipe.slug)
            return response

        return render_template(self.template, recipe=recipe)


bp.add_url_rule("/recipes/<slug:slug>", view_func=Show.as_view("show", "show.html"))
bp.add_url_rule("/recipes/<slug:slug>/edit", view_func=Edit.as_view("edit"))


@bp.post("/recipes")
@login_required
def create():
    if not (title := request.form.get("title", "").strip()):
        return render_template("new.html"), 400
    slug = title.lower().replace(" ", "-")
    connection.save(Recipe(slug, title, int(request.form.get("minutes", 5)), author=g.user))
    return redirect(url_for(".show", slug=slug), code=303)


@bp.route("/upload", methods=["GET", "POST"])
def upload():
    if request.method == "GET":
        return render_template("upload.html")
    if "file" not in request.files:
        flash("No file part")
        return redirect(request.url)
    file = request.files["file"]
    name = secure_filename(file.filename)
    if not name:
        raise InsufficientStorage()
    file.save(f"{current_app.config['UPLOADS']}/{name}")
    sizes = {other.filename: len(other.read()) for other in request.files.getlist("more")}
    return {"name": name, "sizes": sizes, "note": request.form.get("note")}


@bp.get("/uploads/<path:name>")
def download(name):
    return send_from_directory(current_app.config["UPLOADS"], name)


@bp.get("/card.txt")
def card():
    text = "".join(f"{recipe.title}\n" for recipe in connection.recipes())
    return send_file(
        BytesIO(text.encode()), mimetype="text/plain", as_attachment=True, download_name="card.txt"
    )


@bp.get("/cookie")
def cookie():
    response = make_response(render_template_string("{{ request.cookies['last'] }}"))
    response.headers["X-Parachutes"] = "parachutes are cool"
    response.delete_cookie("last")
    return response


@bp.get("/busy")
def busy():
    raise StoreBusy("try later")


@bp.get("/broken")
def broken():
    return 1 // 0


@bp.get("/messages")
def messages():
    return "|".join(f"{kind}:{text}" for kind, text in get_flashed_messages(with_categories=True))
