"""An interactive debugger for development: Flask's, with `await`.

What the developer sees of an error lives here: `page/`, with its frames, variables and prompts, and
`server/`, the development server that shows it and decides who may use it. Of quartapp it imports
only parts below it, and no application. An application has the debugger hung in as its `debugger`
attribute (`flasklike.Debugger` is the interface), which only the development command does: nothing
that serves production imports this package.
"""
