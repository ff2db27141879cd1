"""The application that shows how the parts are used. Its libraries are in the extra `microblog`."""

from importlib.util import find_spec

if find_spec("wtforms") is None:
    from quartapp.extras import needs
    from quartapp.settings import ConfigurationError

    raise ConfigurationError(f"The microblog {needs('microblog')}")
