"""quartapp measured against the same application on Flask: `make bench`, `make bench-growth`.

It contains the synchronous version (`flask_twin/`), servers and load for both, and the report.
quartapp imports nothing of it.
"""
