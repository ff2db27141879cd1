"""Serve quartapp under Hypercorn, with the settings of the environment.

`python run.py --local` is what `make run` calls: it makes what is missing (a secret key, the
tables) before it serves.
"""

import gc
import sys

# Nothing that a thousand modules make when they are imported is garbage, and looking for it takes
# 50 ms. `serve_here` begins to collect before the first request; workers import this file too.
gc.disable()

if __name__ == "__main__":
    try:
        from quartapp.microblog.serve import main

        code = main(sys.argv[1:])
    except KeyboardInterrupt:  # Ctrl+C before the server listens for it
        code = 130
    sys.exit(code)
