"""The widgets write what those of WTForms write."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from wtforms import EmailField, Field, Form, HiddenField, PasswordField, StringField, TextAreaField
from wtforms import widgets as theirs
from wtforms.validators import InputRequired, Length

from quartapp.microblog.web import widgets as ours

NAMES = ("EmailInput", "HiddenInput", "PasswordInput", "TextArea", "TextInput")
KINDS: dict[str, type[Field]] = {
    "EmailInput": EmailField,
    "HiddenInput": HiddenField,
    "PasswordInput": PasswordField,
    "TextArea": TextAreaField,
    "TextInput": StringField,
}
TEXTS = st.text(alphabet="a é\"'<>&;=_-\n")
VALUES = st.one_of(st.booleans(), st.none(), st.integers(), TEXTS, TEXTS.map(Markup))
ATTRIBUTES = ("aria_label", "autofocus", "class_", "data_x_y", "for_", "id", "maxlength", "rows")


@given(st.dictionaries(st.sampled_from(ATTRIBUTES), VALUES))
def test_attributes_are_those_of_wtforms(values: dict[str, Any]) -> None:
    assert ours.attributes(**values) == str(theirs.html_params(**values))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", [None, "text", "</textarea>\"'&<script>"])
def test_a_field_is_that_of_wtforms(name: str, data: str | None) -> None:
    def render(widget: Any) -> str:
        class OneField(Form):
            field = KINDS[name](
                validators=[InputRequired(), Length(1, 140)],
                widget=widget,
                render_kw={"rows": "3", "maxlength": False},
            )

        text: str = OneField(data={"field": data})["field"](autofocus=True, aria_label='"<')
        assert isinstance(text, Markup)  # a template must not escape it again
        return text

    assert render(getattr(ours, name)()) == render(getattr(theirs, name)())
