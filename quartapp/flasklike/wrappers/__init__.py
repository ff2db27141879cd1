"""The request and the response, and what is in them. The file names are Quart's."""
