"""Reading errors without running foreign code, and hiding the secrets in what was read.

Which values are secret (`secret_names`, `secret_patterns`, `collect`), how they are hidden
(`scrub`), and how an exception is read (`reading`, with the other modules). Not here: what is made
of it in `reporting`, `logfile` and `debugger`. Imports no other part, and neither Quart, SQLAlchemy
nor asyncio.
"""
