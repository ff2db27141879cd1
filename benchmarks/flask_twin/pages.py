"""The views and forms of the synchronous version."""

import hashlib
import secrets
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Flask, abort, current_app, flash, jsonify, redirect, request, url_for
from flask import render_template as render
from flask_login import current_user, login_required, login_user
from flask_wtf import FlaskForm
from werkzeug.security import check_password_hash
from wtforms import BooleanField, HiddenField, PasswordField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length, ValidationError

from benchmarks.flask_twin.models import ApiToken, Post, User, aware, db
from benchmarks.flask_twin.showing import plural, show_moment

posts = Blueprint("posts", __name__)
profile = Blueprint("profile", __name__)
auth = Blueprint("auth", __name__)
api = Blueprint("api", __name__, url_prefix="/api")

_NAME = {"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}


class LoginForm(FlaskForm):
    username = StringField("Username", validators=[DataRequired(), Length(max=64)], render_kw=_NAME)
    password = PasswordField(
        "Password",
        validators=[InputRequired(), Length(max=256)],
        render_kw={"autocomplete": "current-password"},
    )
    remember_me = BooleanField("Remember Me")


class PostForm(FlaskForm):
    post = TextAreaField(
        "Say something",
        validators=[DataRequired(), Length(max=140)],
        description="At most 140 characters.",
        render_kw={"rows": "3", "maxlength": False},
    )
    form_key = HiddenField(default=secrets.token_urlsafe)  # shown only, as quartapp's pages do


class EditProfileForm(FlaskForm):
    username = StringField("Username", validators=[DataRequired(), Length(max=64)], render_kw=_NAME)
    about_me = TextAreaField(
        "About me",
        validators=[Length(max=140)],
        description="At most 140 characters.",
        render_kw={"rows": "4", "maxlength": False},
    )

    def __init__(self, original_username: str, **more: Any) -> None:
        super().__init__(**more)
        self.original_username = original_username

    def validate_username(self, field: Any) -> None:
        if field.data != self.original_username and db.session.scalar(
            sa.select(User).where(User.username == field.data)
        ):
            raise ValidationError("Please use a different username.")


LINKED = (
    ("/avatar/<int:user_id>.svg", "avatars.avatar"),
    ("/reset_password_request", "accounts.reset_password_request"),
    ("/change_password", "accounts.change_password"),
    ("/change_email", "accounts.change_email_request"),
    ("/delete_account", "accounts.delete"),
    ("/sessions", "sessions.sessions"),
    ("/security", "security.security"),
)
"""Of these pages only the addresses are shown on the compared ones."""


def init_app(app: Flask) -> None:
    for blueprint in (posts, profile, auth, api):
        app.register_blueprint(blueprint)
    for path, endpoint in LINKED:
        app.add_url_rule(path, endpoint, view_func=lambda **_: abort(501))
    app.add_url_rule("/ping", view_func=ping)
    app.add_url_rule("/boom", view_func=boom)
    app.add_url_rule("/slow_query", view_func=slow_query)


@posts.route("/", methods=["GET", "POST"])
@login_required
def index() -> Any:
    form = PostForm()
    if form.validate_on_submit():
        post = Post(body=form.post.data, user_id=current_user.id, timestamp=datetime.now(UTC))
        db.session.add(post)
        db.session.commit()
        flash("Your post is now live!")
        return redirect(url_for("posts.index"))
    return render(
        "index.html",
        form=form,
        title="Home",
        page=_page(current_user.following_posts(current_app.config["TUNED"]), "posts.index"),
        own_avatar_url=url_for("avatars.avatar", user_id=current_user.id),
    )


@posts.route("/explore")
@login_required
def explore() -> Any:
    return render("explore.html", title="Explore", page=_page(sa.select(Post), "posts.explore"))


@posts.route("/post/<int:post_id>")
def post(post_id: int) -> Any:
    abort(501)


@posts.route("/post/<int:post_id>/delete")
def delete(post_id: int) -> Any:
    abort(501)


@profile.route("/user/<username>/followers")
def followers(username: str) -> Any:
    abort(501)


@profile.route("/user/<username>/following")
def following(username: str) -> Any:
    abort(501)


@profile.route("/user/<username>")
@login_required
def user(username: str) -> Any:
    person = db.first_or_404(sa.select(User).where(User.username == username))
    query = sa.select(Post).where(Post.user_id == person.id)
    return render(
        "user.html",
        title=person.username,
        user=person,
        profile=_profile(person) if current_app.config["TUNED"] else None,
        page=_page(query, "profile.user", username=username),
        is_self=person.id == current_user.id,
    )


@profile.route("/edit_profile", methods=["GET", "POST"])
@login_required
def edit_profile() -> Any:
    form = EditProfileForm(current_user.username)
    if form.validate_on_submit():
        values = {"username": form.username.data, "about_me": form.about_me.data}
        if current_app.config["TUNED"]:
            db.session.execute(sa.update(User).where(User.id == current_user.id).values(values))
        else:
            current_user.username = values["username"]
            current_user.about_me = values["about_me"]
        db.session.commit()
        flash("Your changes have been saved.")
        return redirect(url_for("profile.edit_profile"))
    if request.method == "GET":
        form.username.data = current_user.username
        form.about_me.data = current_user.about_me
    return render("edit_profile.html", title="Edit Profile", form=form)


@profile.route("/follow/<username>", methods=["POST"])
def follow_user(username: str) -> Any:
    abort(501)


@profile.route("/unfollow/<username>", methods=["POST"])
def unfollow_user(username: str) -> Any:
    abort(501)


@auth.route("/login", methods=["GET", "POST"])
def login() -> Any:
    form = LoginForm()
    if form.validate_on_submit():
        found = db.session.scalar(sa.select(User).where(User.username == form.username.data))
        if found and check_password_hash(found.password_hash, form.password.data or ""):
            login_user(found, remember=form.remember_me.data)
            return redirect(url_for("posts.index"))
        flash("Invalid username or password", "error")
    return render("login.html", title="Sign In", form=form)


@auth.route("/logout", methods=["POST"])
def logout() -> Any:
    abort(501)


@auth.route("/register")
def register() -> Any:
    abort(501)


@api.route("/posts")
def list_posts() -> Any:
    _authenticate()
    rows = db.session.execute(_recent(sa.select(Post))).all()
    more, shown = len(rows) > 25, [_show(row) for row in rows[:25]]
    older = url_for("api.list_posts", before=shown[-1]["id"]) if more else None
    return jsonify(
        items=shown,
        _meta={"per_page": 25, "count": len(shown)},
        _links={"self": url_for("api.list_posts"), "next": older, "prev": None},
    )


@api.route("/posts/<int:post_id>")
def get_post(post_id: int) -> Any:
    abort(501)


@api.route("/users/<int:user_id>")
def get_user(user_id: int) -> Any:
    abort(501)


def ping() -> str:
    return "pong"


def boom() -> str:
    raise RuntimeError("what the benchmark asks for")


SLEEP = sa.text("SELECT pg_sleep(1)")


def slow_query() -> str:
    db.session.execute(SLEEP)
    return "slept"


def _authenticate() -> None:
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    query = sa.select(ApiToken).where(ApiToken.digest == hashlib.sha256(token.encode()).hexdigest())
    found = db.session.scalar(query)
    if found is None or aware(found.expires_at) < datetime.now(UTC):
        abort(401)


def _show(row: Any) -> dict[str, Any]:
    post, author = (row, row.username) if current_app.config["TUNED"] else (row[0], None)
    moment = aware(post.timestamp).astimezone(UTC)
    return {
        "id": post.id,
        "body": post.body,
        "timestamp": moment.isoformat().replace("+00:00", "Z"),
        "author": author or post.author.username,
        "author_id": post.user_id,
        "_links": {
            "self": url_for("api.get_post", post_id=post.id),
            "author": url_for("api.get_user", user_id=post.user_id),
        },
    }


def _recent(query: Any) -> Any:
    if before := request.args.get("before", type=int):
        query = query.where(Post.id < before)
    limit = current_app.config["POSTS_PER_PAGE"] + 1
    if not current_app.config["TUNED"]:
        return query.order_by(Post.id.desc()).limit(limit)
    keys = query.with_only_columns(Post.id).order_by(Post.id.desc()).limit(limit)
    columns = (Post.id, Post.body, Post.timestamp, Post.user_id, User.username)
    query = sa.select(*columns).join(User, User.id == Post.user_id)
    return query.where(Post.id.in_(keys.correlate(None))).order_by(Post.id.desc())


def _page(query: Any, endpoint: str, **values: Any) -> dict[str, Any]:
    size = current_app.config["POSTS_PER_PAGE"]
    newer = url_for(endpoint, **values) if "before" in request.args else None
    if current_app.config["TUNED"]:
        rows = db.session.execute(_recent(query)).all()
        shown: list[Any] = [_view(row) for row in rows[:size]]
    else:
        rows = list(db.session.scalars(_recent(query)))
        shown = rows[:size]
    older = url_for(endpoint, **values, before=shown[-1].id) if len(rows) > size else None
    return {"posts": shown, "newer_url": newer, "older_url": older}


class _View:
    __slots__ = (
        "avatar_url",
        "body",
        "delete_url",
        "id",
        "profile_url",
        "time",
        "url",
        "username",
    )


def _view(row: Any) -> _View:
    view = _View()
    view.id, view.body, view.username = row.id, row.body, row.username
    view.profile_url = url_for("profile.user", username=row.username)
    view.avatar_url = url_for("avatars.avatar", user_id=row.user_id)
    view.time = show_moment(row.timestamp)
    view.url = url_for("posts.post", post_id=row.id)
    mine = row.user_id == current_user.id
    view.delete_url = url_for("posts.delete", post_id=row.id) if mine else None
    return view


def _profile(person: User) -> dict[str, Any]:
    return {
        "username": person.username,
        "about_me": person.about_me,
        "avatar_url": url_for("avatars.avatar", user_id=person.id),
        "last_seen": show_moment(person.last_seen),
        "followers": plural(person.count("followers"), "follower"),
        "followers_url": url_for("profile.followers", username=person.username),
        "following": person.count("following"),
        "following_url": url_for("profile.following", username=person.username),
        "posts": plural(person.count("posts"), "post"),
        "is_followed": current_user.is_following(person),
    }
