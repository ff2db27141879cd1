"""`python tests/microblog/serve.py` serves the application of tests/microblog/boom.py, as run.py
serves the microblog."""

import sys

from quartapp.microblog import serve
from tests.microblog import boom

# At the top level: worker processes import this module again.
serve.create_app = boom.create  # type: ignore[attr-defined]  # not exported, and replaced on purpose

if __name__ == "__main__":
    sys.exit(serve.main())
