"""An interactive debugger for development: Flask's, with `await`.

It shows the developer an error. `page/` makes what is shown: frames, variables and prompts.
`server/` is the development server, which decides who may see and use it. It serves any
application and knows none. Only the development command sets an application's `debugger` attribute
(`flasklike.Debugger` is the interface); nothing that serves production imports this package.
"""
