"""`python tests/microblog/serve.py FACTORY` serves another application than production's, as
run.py would.

FACTORY is `boom` (tests/microblog/boom.py) or `failing`, which cannot start.
"""

import sys

from quartapp.flasklike import App
from quartapp.microblog import serve
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from tests.microblog import boom


def failing(settings: Settings | None = None) -> App:
    app = create_app(settings)

    @app.before_serving
    async def fail() -> None:
        raise RuntimeError("cannot start")

    return app


# At the top level: worker processes import this module again.
serve.create_app = {"boom": boom.create, "failing": failing}[sys.argv[1]]  # type: ignore[attr-defined]  # not exported, and replaced on purpose

if __name__ == "__main__":
    sys.exit(serve.main())
