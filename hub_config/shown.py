"""The error whose sentence people are shown, by whichever part of the hub it is raised."""

from tornado.web import HTTPError


class ShownError(HTTPError):
    """An answer of the hub whose sentence it shows, on its pages too."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(status, sentence)
        self.jupyterhub_message = sentence
