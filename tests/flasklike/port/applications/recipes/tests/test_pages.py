import io
import logging
from contextlib import contextmanager

import pytest
from flask import g, get_flashed_messages, request, session, template_rendered, url_for

from recipes.pages import cache


@contextmanager
def captured_templates(app):
    recorded = []

    def record(sender, template, context, **extra):
        recorded.append((template, context))

    template_rendered.connect(record, app)
    try:
        yield recorded
    finally:
        template_rendered.disconnect(record, app)


def test_index_lists_recipes(client):
    response = client.get("/")
    assert response.status_code == 200
    assert "<h1>2 recipes</h1>" in response.text
    assert b"<li>Soup 20 min **</li>" in response.data
    assert "<li>Bread 2 h 30 min</li>" in response.get_data(as_text=True)
    assert response.headers["X-Steps"] == "before,user,after"
    assert "1 recipe<" in client.get("/recipes", query_string={"q": "sou"}).text
    assert "none" in client.get("/recipes?q=x").text


def test_templates_are_recorded(app, client):
    with captured_templates(app) as templates:
        client.get("/")
        assert len(templates) == 1
        template, context = templates[0]
        assert template.name == "index.html"
        assert [recipe.slug for recipe in context["recipes"]] == ["soup", "bread"]
    assert app.extensions["rendered"] == ["index.html"]


def test_a_stranger_sees_no_members(client, auth):
    assert "members" not in client.get("/").text
    auth.login()
    assert "<b>ann</b> members" in client.get("/").text


def test_login_and_logout(client, auth):
    response = auth.login()
    assert response.status_code == 302
    assert response.location == "/"
    with client:
        client.get("/")
        assert session["name"] == "ann"
        assert g.user == "ann"
        assert request.path == "/"
    auth.logout()
    with client.session_transaction() as sess:
        assert "name" not in sess
        sess["name"] = "bob"
    assert client.get("/auth/me").json == {"name": "bob"}


def test_login_keeps_the_name(client, auth):
    response = auth.login("ann", "wrong")
    assert 'name="name" value="ann"' in response.text
    assert "<strong>Wrong name or password.</strong>" in response.text
    assert '<p class="error">Wrong name or password.</p>' in response.text


def test_login_with_json(client):
    response = client.post("/auth/login", json={"name": "bob", "password": "secret"})
    assert response.status_code == 302


def test_login_goes_on(client, auth):
    response = client.get("/auth/me")
    assert response.location == "/auth/login?next=/auth/me"
    response = client.post(response.location, data={"name": "ann", "password": "secret"})
    assert response.location == "/auth/me"
    assert auth.login(follow_redirects=True).status_code == 200


@pytest.mark.parametrize(("name", "status"), [("ann", 200), ("bob", 403)])
def test_roles(client, auth, name, status):
    auth.login(name)
    assert client.get("/auth/admin").status_code == status


def test_edit_keeps_what_was_typed(client, auth):
    auth.login()
    response = client.post("/recipes/soup/edit", data={"title": "Stew", "minutes": "x"})
    assert response.status_code == 422
    assert 'value="Stew"' in response.text
    assert 'value="x"' in response.text
    assert "<em>Minutes are a number.</em>" in response.text
    response = client.get("/recipes/soup/edit")
    assert 'value="Soup"' in response.text


def test_edit_saves(app, client, auth):
    auth.login()
    data = {"title": "Stew", "minutes": "90", "tag": ["a", "b"]}
    response = client.post("/recipes/soup/edit", data=data, follow_redirects=True)
    assert response.request.path == "/recipes/soup"
    assert "<title>Stew - Recipes</title>" in response.text
    assert "Saved." in response.text
    assert app.extensions["store"].recipes["soup"].tags == ["a", "b"]


def test_edit_needs_a_login(client):
    assert client.post("/recipes/soup/edit").status_code == 302


def test_create(client, auth):
    auth.login()
    assert client.post("/recipes", data={"title": " ", "minutes": "7"}).text.endswith("required. 7")
    response = client.post("/recipes", data={"title": "Apple pie"})
    assert response.status_code == 303
    shown = client.get(response.location)
    assert "Apple pie" in shown.text
    assert client.get("/cookie").data == b"apple-pie"


def test_upload_and_download(client, tmp_path):
    assert client.get("/upload").status_code == 200
    response = client.post(
        "/upload",
        data={
            "file": (io.BytesIO(b"abc"), "../a b.txt"),
            "more": [(io.BytesIO(b"12"), "x"), (io.BytesIO(b"123"), "y")],
            "note": "hello",
        },
        content_type="multipart/form-data",
    )
    assert response.get_json() == {"name": "a_b.txt", "sizes": {"x": 2, "y": 3}, "note": "hello"}
    assert (tmp_path / "a_b.txt").read_bytes() == b"abc"
    assert client.get("/uploads/a_b.txt").data == b"abc"
    assert client.get("/uploads/none.txt").status_code == 404
    assert client.post("/upload", data={}).status_code == 302
    assert client.post("/upload", data={"file": (io.BytesIO(b""), "..")}).status_code == 507


def test_files_are_sent(client):
    response = client.get("/card.txt")
    assert response.headers["Content-Disposition"] == "attachment; filename=card.txt"
    assert response.data == b"Soup\nBread\n"
    assert client.get("/static/style.css").mimetype == "text/css"


def test_urls_have_languages(app, client):
    assert 'en <a href="/de/about">' in client.get("/en/about").text
    assert client.get("/fr/about").status_code == 404
    with app.test_request_context("/en/about"):
        assert url_for("pages.show", slug="Apple Pie") == "/recipes/apple-pie"
        assert request.endpoint == "pages.about"


def test_a_cached_view_runs_once(client):
    cache.clear()
    first = client.get("/slow").data
    assert client.get("/slow").data == first == b"computed at step 2"
    with client.session_transaction() as sess:
        assert sess["slow"] == 1


def test_error_pages(app, client, caplog):
    assert "<h1>404 Not Found</h1>There is no recipe x." in client.get("/recipes/x").text
    assert client.post("/").json == {"code": 405, "name": "Method Not Allowed"}
    busy = client.get("/busy")
    assert (busy.status_code, "try later" in busy.text) == (503, True)
    with pytest.raises(ZeroDivisionError):
        client.get("/broken")
    app.testing = False
    with caplog.at_level(logging.WARNING):
        response = client.get("/broken")
    assert response.status_code == 500
    assert "(ZeroDivisionError)" in response.text
    assert "failed at /broken: ZeroDivisionError" in caplog.text
    assert app.extensions["failed"][-1] == "ZeroDivisionError"


def test_flashed_messages_are_shown_once(client, auth):
    auth.login()
    assert client.get("/messages").data == b"message:Welcome, ann!"
    assert client.get("/messages").data == b""
    with client:
        client.get("/auth/logout")
        assert get_flashed_messages() == []


def test_health(client):
    response = client.get("/health")
    assert (response.text, response.mimetype) == ("ok", "text/plain")
