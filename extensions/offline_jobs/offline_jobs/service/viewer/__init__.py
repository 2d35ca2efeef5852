"""Shows a notebook as a page: a program of its own, for it reads what users wrote.

The service starts it (``web/viewing.py``), gives it a notebook and hands on what it says, piece by
piece. Nothing else imports it: nbconvert alone takes as long as all that the service imports.
"""
