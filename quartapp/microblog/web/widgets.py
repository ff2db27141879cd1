"""The widgets of the forms: the HTML of WTForms', whose attributes are written in one step.

WTForms makes and formats a Markup for each attribute, which took a tenth of a page with a form.
"""

from typing import Any

from markupsafe import Markup, escape
from wtforms import widgets
from wtforms.widgets.core import clean_key  # type: ignore[attr-defined]  # not in its stubs


def attributes(**values: Any) -> str:
    """What `wtforms.widgets.html_params` returns: the attributes of a tag, sorted and escaped."""
    found = []
    for name, value in sorted(values.items()):
        if value is True:
            found.append(clean_key(name))
        elif value is not False:
            # What is escaped already, a Markup, may contain quotation marks.
            text = str(escape(value)).replace('"', "&quot;")
            found.append(f'{clean_key(name)}="{text}"')
    return " ".join(found)


class EmailInput(widgets.EmailInput):
    html_params = staticmethod(attributes)


class HiddenInput(widgets.HiddenInput):
    html_params = staticmethod(attributes)


class PasswordInput(widgets.PasswordInput):
    html_params = staticmethod(attributes)


class TextInput(widgets.TextInput):
    html_params = staticmethod(attributes)


class TextArea(widgets.TextArea):
    """Written out, because WTForms' calls its function by name."""

    def __call__(self, field: Any, **kwargs: Any) -> Markup:
        flags = {
            name: flag for name, flag in vars(field.flags).items() if name in self.validation_attrs
        }
        parameters = attributes(name=field.name, **{"id": field.id, **flags, **kwargs})
        return Markup(f"<textarea {parameters}>\r\n{escape(field._value())}</textarea>")
