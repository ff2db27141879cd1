"""A microblog on Quart that shows how an async web application should fail."""

__version__ = "0.1.0"
