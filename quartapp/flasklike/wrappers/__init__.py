"""The request, the response and what is inside them, in Quart's file names."""
