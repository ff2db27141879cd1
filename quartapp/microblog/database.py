"""The database of the microblog: `db` is what the modules above the models query with."""

from quartapp.database import Database
from quartapp.microblog.models.base import Base

db = Database(model_class=Base)
