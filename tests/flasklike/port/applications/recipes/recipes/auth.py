"""Who somebody is."""

import functools

from flask import (
    Blueprint,
    abort,
    current_app,
    flash,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)

bp = Blueprint("auth", __name__, url_prefix="/auth")


@bp.before_app_request
def load_user():
    g.user = session.get("name")
    g.steps.append("user")


def login_required(view):
    """Send strangers to the login page."""

    @functools.wraps(view)
    def wrapped_view(*args, **kwargs):
        if g.user is None:
            flash("Log in first.", "error")
            return redirect(url_for("auth.login", next=request.path))
        return view(*args, **kwargs)

    return wrapped_view


def role_required(*names):
    """Only some people may do this."""

    def decorator(view):
        @functools.wraps(view)
        def decorated(**kwargs):
            if g.user not in names:
                abort(403)
            return view(**kwargs)

        return decorated

    return decorator


def read_credentials():
    """Name and password of the form, or of a JSON document."""
    if request.is_json:
        data = request.get_json()
        return data["name"], data["password"]
    return request.form["name"], request.form["password"]


def is_safe(target):
    return target.startswith("/") and not target.startswith("//")


@bp.route("/login", methods=["GET", "POST"])
def login():
    error = None
    if request.method == "POST":
        name, password = read_credentials()
        if current_app.extensions["store"].check(name, password):
            session.clear()
            session["name"] = name
            session.permanent = bool(request.form.get("stay"))
            flash(f"Welcome, {name}!")
            target = request.args.get("next", "")
            return redirect(target if is_safe(target) else url_for("index"))
        error = "Wrong name or password."
        flash(error, category="error")
    return render_template("login.html", error=error)


@bp.post("/logout")
def logout():
    session.pop("name", None)
    return redirect(url_for("index"))


@bp.get("/me")
@login_required
def me():
    return {"name": g.user}


@bp.get("/admin")
@login_required
@role_required("root", "ann")
def admin():
    return render_template("admin.html", visits=current_app.extensions["store"].visits)
