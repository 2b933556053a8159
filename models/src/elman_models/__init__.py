"""Small trained models for elman, each a folder; `elman models` lists them."""
