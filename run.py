"""Serve quartapp with the settings of the environment, under the server that SERVER names.

`make run` calls `python run.py --local`, which first creates what is missing (a secret key, the
tables).
"""

import gc
import sys

from click import ClickException

# Importing a thousand modules leaves no garbage, and looking for it takes 50 ms. `serve_here`
# starts the garbage collector before the first request; workers import this file too.
gc.disable()

if __name__ == "__main__":
    try:
        from quartapp.microblog.serve import main

        code = main(sys.argv[1:])
    except KeyboardInterrupt:  # Ctrl+C before the server handles it
        code = 130
    except ClickException as error:  # a library is missing
        error.show()
        code = error.exit_code
    sys.exit(code)
