from typing import Any

from quartapp import flasklike
from quartapp.flasklike import App, sync
from quartapp.flasklike.sync import (
    flash,
    get_flashed_messages,
    make_response,
    render_template_string,
    request,
)


def test_it_has_the_same_objects_under_the_same_names() -> None:
    assert sorted(sync.__all__) == sorted(flasklike.__all__)
    for name in sync.__all__:
        assert vars(sync)[name] is vars(flasklike)[name]


async def test_a_typed_file_of_plain_functions_works() -> None:
    """mypy checks the types of this view, as of all tests."""
    app = App("typed")
    app.secret_key = "k" * 40

    @app.post("/")
    def view() -> Any:
        flash("message")
        title: str = request.form["title"].upper()
        text: str = render_template_string("{{ title }}", title=title)
        response = make_response(f"{text} {request.values['title']} {request.method}")
        response.headers["X-Messages"] = ",".join(get_flashed_messages())
        return response

    response = await app.test_client().post("/", form={"title": "Typed"})
    assert await response.get_data(as_text=True) == "TYPED Typed POST"
    assert response.headers["X-Messages"] == "message"
