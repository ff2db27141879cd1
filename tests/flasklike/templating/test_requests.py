"""What templates of Flask use works in pages; so do extensions that render templates."""

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import quart
from quart_auth import AuthUser, QuartAuth, current_user, login_user
from quart_schema import QuartSchema
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import ForeignKey
from werkzeug.datastructures import FileStorage

from quartapp.flasklike import App, render_template_string


@pytest.fixture
def app() -> App:
    app = App("requests")
    app.secret_key = "secret"
    return app


def add_page(app: App, source: str, **context: Any) -> None:
    @app.route("/", methods=["GET", "POST"])
    async def page() -> str:
        return await render_template_string(source, **context)


async def sent(app: App, **arguments: Any) -> str:
    response = await app.test_client().post("/", **arguments)
    text: str = await response.get_data(as_text=True)
    return text


@pytest.mark.parametrize(
    "source",
    [
        "{{ request.form['title'] }}",
        "{{ request.form.title }}",
        "{{ request.form.get('title', 'nothing') }}",
        "{{ request.form['title'] or 'nothing' }}",
        "{{ request.values['title'] }}",
        "{% if 'title' in request.form %}{{ request.form.getlist('title')[0] }}{% endif %}",
        "{% for name, value in request.form.items() %}{{ value }}{% endfor %}",
        "{% with form = request.form %}{{ form.title }}{% endwith %}",
        "{% macro field(name) %}{{ request.form[name] }}{% endmacro %}{{ field('title') }}",
    ],
)
async def test_a_rejected_form_keeps_what_was_typed(app: App, source: str) -> None:
    add_page(app, source)
    assert await sent(app, form={"title": "typed <b>"}) == "typed &lt;b&gt;"


async def test_what_else_a_request_holds_is_awaited(app: App) -> None:
    add_page(
        app,
        "{{ request.json.name if request.is_json else request.files['file'].filename }}"
        "{{ request.get_json(silent=true).name }}{{ request.get_data(as_text=true) }}",
    )
    assert await sent(app, json={"name": "j"}) == "jj{&#34;name&#34;: &#34;j&#34;}"
    file = FileStorage(BytesIO(b"content"), "upload.txt")
    assert (await sent(app, files={"file": file})).startswith("upload.txt")


async def test_a_stranger_sees_no_members_menu(app: App) -> None:
    app.config["QUART_AUTH_COOKIE_SECURE"] = False
    QuartAuth(app)
    add_page(
        app,
        "{% if current_user.is_authenticated %}members{% else %}strangers{% endif %}"
        "{{ current_user.auth_id }}",
    )

    @app.get("/login")
    async def log_in() -> str:
        login_user(AuthUser("susan"))
        return ""

    client = app.test_client()
    assert await (await client.get("/")).get_data() == b"strangersNone"
    await client.get("/login")
    assert await (await client.get("/")).get_data() == b"memberssusan"


async def test_the_functions_of_quart_render_for_extensions(app: App) -> None:
    QuartSchema(app)

    @app.get("/quart")
    async def by_quart() -> Any:
        source = "{{ request.path }}{{ current_user.is_authenticated }}{{ request.form }}"
        return await quart.stream_template_string(source, current_user=current_user)

    QuartAuth(app)
    for path in ("/docs", "/redocs", "/scalar"):
        response = await app.test_client().get(path)
        assert response.status_code == 200
        assert b"openapi.json" in await response.get_data()
    text = await (await app.test_client().get("/quart")).get_data()
    assert text == b"/quartFalseImmutableMultiDict([])"


# Lazy loads of SQLAlchemy


class Base(AsyncAttrs, DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    posts: Mapped[list["Post"]] = relationship()


class Post(Base):
    __tablename__ = "post"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="posts")


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[AsyncSession]:
    url = f"sqlite+aiosqlite:///{tmp_path}/lazy.db"
    engine = create_async_engine(url, poolclass=NullPool)  # a load begins with a connection
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with async_sessionmaker(engine, expire_on_commit=False)() as session:
        session.add(Author(id=1, posts=[Post(id=1), Post(id=2)]))
        await session.commit()
        session.expunge_all()
        yield session
    await engine.dispose()


SOURCE = "{% for post in author.posts %}{{ post.id }}{% endfor %}"


async def test_a_lazy_load_in_a_template_is_an_error(app: App, session: AsyncSession) -> None:
    author = await session.get(Author, 1)
    await session.commit()
    async with app.app_context():
        with pytest.raises(MissingGreenlet):
            await render_template_string(SOURCE, author=author)
        explicit = SOURCE.replace("author.", "author.awaitable_attrs.")
        assert await render_template_string(explicit, author=author) == "12"


@pytest.mark.parametrize("function", [render_template_string, quart.render_template_string])
async def test_an_application_may_allow_lazy_loads(
    app: App, session: AsyncSession, function: Any
) -> None:
    app.config["TEMPLATES_LAZY_LOADING"] = True
    author = await session.get(Author, 1)
    async with app.app_context():
        assert await function(SOURCE, author=author) == "12"
    session.expunge_all()
    author = await session.get(Author, 1)
    async with app.app_context():
        stream = await quart.stream_template_string(SOURCE, author=author)
        assert [part async for part in stream] == ["1", "2"]
