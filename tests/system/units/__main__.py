"""`python -m tests.system.units --seed N` shows whether a case differs, and where."""

import sys

from tests.system.units.campaign import main

sys.exit(main(sys.argv[1:]))
