"""Does an application fail on `quartapp.flasklike.App` as it fails on Flask?

A *specification* (specification.py) is an application as data: handlers, hooks, blueprints, flags
and requests. `generate` makes one from a seed, `build` builds it on either framework, `observe`
records everything that a developer could notice, `compare` says where the two differ and `shrink`
makes the specification small. Flask is the oracle: nothing here says what is right.

`pytest tests/system/parity` runs some hundreds of specifications, `make parity` many thousands, and
`python -m tests.system.parity --seed N` shows one.
"""
