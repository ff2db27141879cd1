"""An interactive debugger for development: Flask's, with `await`.

What the developer sees of an error lives here: the page with its frames, variables and prompts
(`page/`), and the development server that shows it, with who may use it (`server/`). An application has the debugger hung in as its `debugger` attribute
(`flasklike.Debugger` is the interface), which only the development command does: nothing that
serves production imports this package.
"""
