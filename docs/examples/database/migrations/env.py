"""The environment in which Alembic runs the migrations of this application.

`environment.run` takes the metadata of further tables, and the arguments of Alembic's
`context.configure`, such as `include_object`. The models must be imported when the application is.
"""

from quartapp.database.migrations import environment

environment.run()
