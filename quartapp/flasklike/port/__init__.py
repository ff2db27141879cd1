"""`python -m quartapp.flasklike.port PATH` ports a Flask application, or finds forgotten awaits.

It needs libcst (the extra `port`), which nothing else of flasklike imports. The steps, a module
each: read the files (`files`), see what their names are (`program`, `inference`), decide what has
to be awaited (`names`, `coroutines`), write it (`rewriting`, `imports`), and say what is left
(`advice`). `check` is the linter.
"""
