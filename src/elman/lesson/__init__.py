"""`elman lesson`: the lesson on recurrent networks, whose pages run.

The pages are docs/lesson/*.md. What their code would be too long with is in the modules here: the small networks,
the data, and the pictures.
"""
