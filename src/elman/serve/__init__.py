"""A server for trained models: HTTP and websockets, and the page that it shows. `elman serve` starts it.

Every module of routes exports `ROUTES`, and `app.py` puts them together. What is shared hangs on the
application's state: `shelf`, the models by name, and `limits`.
"""
