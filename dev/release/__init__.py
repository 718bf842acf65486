"""`make release VERSION=x`: everything that a release holds, made in ``dist/``. ``python -m release --help`` teaches it."""
