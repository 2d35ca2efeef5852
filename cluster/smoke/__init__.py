"""Tries an installation as a person of it does: a session, a cell in it, jobs, their results."""
