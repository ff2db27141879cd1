"""The types that a session's cookie keeps: Flask's classes, and a serializer for `App`."""

from flask.json.tag import JSONTag as JSONTag
from flask.json.tag import PassDict as PassDict
from flask.json.tag import PassList as PassList
from flask.json.tag import TagBytes as TagBytes
from flask.json.tag import TagDateTime as TagDateTime
from flask.json.tag import TagDict as TagDict
from flask.json.tag import TagMarkup as TagMarkup
from flask.json.tag import TagTuple as TagTuple
from flask.json.tag import TagUUID as TagUUID

from quartapp.flasklike.sessions import TaggedJSONSerializer as TaggedJSONSerializer
