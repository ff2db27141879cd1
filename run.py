"""Serve quartapp under Hypercorn, with the settings of the environment.

`python run.py --local` is what `make run` calls: it makes what is missing (a secret key, the
tables) before it serves.
"""

import sys

from quartapp.serving import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
