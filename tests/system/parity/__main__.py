"""`python -m tests.system.parity --seed N` shows whether one specification differs, and where."""

import sys

from tests.system.parity.campaign import main

sys.exit(main(sys.argv[1:]))
