"""`python -m tests.system.fuzz [--each N] [--seed N] [--seconds N]`.

Sends N requests to each route, as somebody who is logged in, then lets wapiti scan the site if it
is installed. Nothing is answered with a 5xx, no script, header or redirect is planted, and nothing
is logged as an error; wapiti finds nothing that is not explained in `scanner`.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from quartapp.microblog.migrate import migrate
from quartapp.microblog.testing import SERVE, environment
from quartapp.testing import LiveServer
from tests.system.fuzz.run import Stranger, application, run
from tests.system.fuzz.scanner import scan


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.fuzz")
    parser.add_argument("--each", type=int, default=100, help="requests for each route (100)")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--seconds", type=int, default=300, help="of wapiti, at most (300)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'fuzz.db'}"
        migrate(url)
        cheap = {"ENVIRONMENT": "development", "PASSWORD_COST": "7", "WORKERS": "2"}
        with LiveServer(environment(folder, url) | cheap, SERVE, cwd=folder) as server:
            outcome = run(application(folder), server, options.each, options.seed)
            print(f"seed {options.seed}: {dict(outcome.answers)}")
            stranger = Stranger(server, prefix="scanned")
            stranger.enter()
            findings = scan(stranger, server, folder, options.seconds)
            stranger.close()
    print("wapiti is not installed" if findings is None else f"wapiti: {len(findings)} findings")
    wrong = [*outcome.faults, *(findings or ())]
    print("\n".join(wrong) if wrong else "held")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
