"""`elman lesson`: the lesson on recurrent networks, whose pages run.

The pages are docs/lesson/*.md. The modules here hold what would make their code too long: the small
networks, the data and the pictures.
"""
