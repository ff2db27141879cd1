"""A small application as Flask's documentation teaches it: all `def`, with sqlite3.

`test_flask_views.py` runs it on Flask, and on flasklike with only this import changed.
"""

import sqlite3
from functools import wraps
from threading import get_ident
from typing import Any

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    after_this_request,
    copy_current_request_context,
    current_app,
    flash,
    g,
    get_flashed_messages,
    has_request_context,
    jsonify,
    make_response,
    redirect,
    render_template,
    render_template_string,
    request,
    send_file,
    send_from_directory,
    session,
    stream_template,
    stream_template_string,
    stream_with_context,
    url_for,
)

blog = Blueprint("blog", __name__, url_prefix="/blog")


def get_db() -> Any:
    if "db" not in g:
        g.db = sqlite3.connect(current_app.config["DATABASE"])
        g.db.row_factory = sqlite3.Row
        g.opened_in = get_ident()
    return g.db


def close_db(error: Any = None) -> Any:
    db = g.pop("db", None)
    if db is not None:
        db.close()
        current_app.config["CLOSED"].append((g.opened_in == get_ident(), error))


def init_db() -> Any:
    with current_app.open_resource("flask_views.sql") as script:
        text: Any = script.read()
        get_db().executescript(text.decode("utf8"))


def login_required(view: Any) -> Any:
    @wraps(view)
    def wrapped(**kwargs: Any) -> Any:
        if g.user is None:
            return redirect(url_for("blog.login"))
        return current_app.ensure_sync(view)(**kwargs)

    return wrapped


@blog.before_app_request
def load_user() -> Any:
    g.user = session.get("user")


@blog.route("/login", methods=("GET", "POST"))
def login() -> Any:
    if request.method == "POST":
        name, error = request.form["name"], None
        if not name:
            error = "A name is required."
        if error is None:
            session.clear()
            session["user"] = name
            return redirect(url_for("blog.index"))
        flash(error, "error")
    return render_template("login.html")


@blog.route("/")
def index() -> Any:
    posts = get_db().execute("SELECT title FROM post ORDER BY id").fetchall()
    return render_template("index.html", posts=posts)


@blog.route("/create", methods=("POST",))
@login_required
def create() -> Any:
    title = request.form.get("title", "")
    if not title:
        flash("A title is required.")
        return render_template("login.html"), 422
    get_db().execute("INSERT INTO post (title) VALUES (?)", (title,))
    get_db().commit()
    flash(f"Posted {title}.")
    return redirect(url_for("blog.index"))


@blog.route("/api", methods=("POST",))
def api() -> Any:
    data = request.get_json()
    return jsonify(got=data, again=request.json, silent=request.get_json(silent=True))


@blog.route("/raw", methods=("POST",))
def raw() -> Any:
    first = request.get_data(as_text=True)
    return {"text": first, "data": request.data.decode(), "type": request.mimetype}


@blog.route("/values", methods=("POST",))
def values() -> Any:
    return {
        "values": sorted(request.values.items()),
        "form": request.form.to_dict(),
        "files": sorted(request.files),
        "missing": "nothing" in request.form,
    }


@blog.route("/upload", methods=("POST",))
def upload() -> Any:
    file = request.files["file"]
    path = current_app.config["UPLOADS"] / file.filename
    file.save(path)
    return send_from_directory(path.parent, path.name, as_attachment=True)


@blog.route("/file")
def file() -> Any:
    return send_file(current_app.config["UPLOADS"] / "kept.txt", etag=False, last_modified=1)


@blog.route("/static")
def static_file() -> Any:
    return current_app.send_static_file("style.css")


@blog.route("/made")
def made() -> Any:
    @after_this_request
    def add_header(response: Any) -> Any:
        response.headers["X-Length"] = str(len(response.get_data()))
        return response

    response = make_response(render_template_string("made for {{ g.user }}"), 201)
    response.set_cookie("made", "yes")
    return response


@blog.route("/stream")
def stream() -> Any:
    def parts() -> Any:
        for row in get_db().execute("SELECT title FROM post ORDER BY id"):
            yield f"{row['title']} for {request.args['name']};"

    get_db()
    return Response(stream_with_context(parts()), mimetype="text/plain")


@blog.route("/stream-template")
def streamed() -> Any:
    return stream_template("login.html")


@blog.route("/stream-string")
def streamed_string() -> Any:
    return stream_template_string(
        "{{ request.args['name'] }}{% for i in [1, 2] %} {{ i }}{% endfor %}"
    )


@blog.route("/copied")
def copied() -> Any:
    @copy_current_request_context
    def work() -> Any:
        return f"{request.path} {has_request_context()}"

    return work()


@blog.route("/messages")
def messages() -> Any:
    flash("one")
    flash("two", "error")
    return {"messages": get_flashed_messages(with_categories=True)}


@blog.route("/missing")
def missing() -> Any:
    abort(404)


@blog.route("/key", methods=("POST",))
def key() -> Any:
    return request.form["absent"]


@blog.route("/error")
def error() -> Any:
    get_db().execute("SELECT nothing FROM nowhere")
    return "never"


@blog.errorhandler(404)
def not_found(error: Any) -> Any:
    return render_template_string("no {{ request.path }}: {{ error.name }}", error=error), 404


def create_app(database: Any, uploads: Any) -> Any:
    app = Flask(__name__, template_folder="flask_templates", static_folder="flask_static")
    app.config.update(DATABASE=database, UPLOADS=uploads, SECRET_KEY="x" * 40, CLOSED=[])
    app.register_blueprint(blog)
    app.teardown_appcontext(close_db)

    @app.errorhandler(sqlite3.Error)
    def database_error(error: Any) -> Any:
        current_app.logger.exception("the database failed")  # noqa: LOG004  # called by one
        return make_response(jsonify(error=type(error).__name__), 503)

    @app.after_request
    def add_header(response: Any) -> Any:
        response.headers["X-User"] = str(g.user)
        return response

    @app.context_processor
    def add_count() -> Any:
        count = get_db().execute("SELECT count(*) FROM post").fetchone()[0]
        return {"count": count, "url_of_posts": url_for("blog.index")}

    with app.app_context():
        init_db()
    return app
