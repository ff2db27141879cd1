"""`quartapp new NAME`: an application to start from, with the parts put together.

`template` holds that application, under the name `myapp`. It is read as files and never imported.
Imports of quartapp only `extras`.
"""
