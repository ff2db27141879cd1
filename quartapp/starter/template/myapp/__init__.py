"""A board of notes. `create_app` puts its parts together."""

from quartapp.errors import ErrorPages
from quartapp.flasklike import App
from quartapp.reporting import Reporting

from myapp import notes
from myapp.models import db
from myapp.settings import Settings, load_settings


def create_app(settings: Settings | None = None) -> App:
    """Build the application. Without settings they are read from the environment."""
    settings = settings or load_settings()
    app = App(__name__, instance_path=settings.instance_path)
    app.config.from_mapping(settings.to_config())

    db.init_app(app)
    pages = ErrorPages(app)
    pages.register(
        notes.InvalidNoteError,
        status=422,
        detail="A note has 1 to 140 characters.",
    )
    app.register_blueprint(notes.blueprint)
    Reporting(app)
    return app
