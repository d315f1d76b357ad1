"""Alembic's scripts; `Database.upgrade` runs them, no `alembic.ini` is needed."""
