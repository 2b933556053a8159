"""The documentation site: `sphinx-build -W docs docs/_build`.

Links into PyTorch's documentation need its index from the network, so they are made only where the variable
ELMAN_DOCS_LINKS is set; without it the site builds offline.
"""

import os

import elman

project = "elman"
author = "The elman authors"
copyright = author
version = release = elman.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
if os.environ.get("ELMAN_DOCS_LINKS"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }

html_theme = "furo"
html_title = f"elman {version}"
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
default_role = "code"  # the docstrings write `name` as Markdown does
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
napoleon_google_docstring = True
