"""JSON as the current application writes and reads it, under Flask's name for this module."""

from quart.json import dump as dump
from quart.json import dumps as dumps
from quart.json import jsonify as jsonify
from quart.json import load as load
from quart.json import loads as loads
