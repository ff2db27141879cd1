"""`python -m tests.parity --seed N` shows whether one specification differs, and where."""

import sys

from tests.parity.campaign import main

sys.exit(main(sys.argv[1:]))
