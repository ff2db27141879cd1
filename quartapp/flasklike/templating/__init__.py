"""Rendering templates: the functions of Flask, and an environment that awaits what they meet.

It has the names of Flask's module. `compiler` writes the code of templates, which calls `values`.
"""

from flask.templating import DispatchingJinjaLoader as DispatchingJinjaLoader

from quartapp.flasklike.templating.environment import Environment as Environment
from quartapp.flasklike.templating.rendering import render_template as render_template
from quartapp.flasklike.templating.rendering import render_template_string as render_template_string
from quartapp.flasklike.templating.rendering import stream_template as stream_template
from quartapp.flasklike.templating.rendering import stream_template_string as stream_template_string
