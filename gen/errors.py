"""The one exception that means "the user's input or options are wrong" (exit code 2), and the
warning that means "it was done, but look at this"."""

__all__ = ["NumbersWarning", "UserError"]


class UserError(Exception):
    """Bad input, told in one line: what, where, the legal set, the remedy.

    The command line prints it as ``gatefold: error: <text>`` and exits with code 2. Text that comes
    from a file is shown through :func:`quoted`, so that it stays on one line. ``advice`` ends the
    message; it is kept apart since it says nothing to a user who follows it already.
    """

    def __init__(self, text: str = "", advice: str = ""):
        super().__init__(text)
        self.advice = advice

    @property
    def what(self) -> str:
        """The message without the advice."""
        return " ".join(super().__str__().split())

    def __str__(self):
        return self.what + self.advice


class NumbersWarning(UserWarning):
    """Values saturated, or calibration data say too little: the numbers may not be those wanted.

    The command line prints it as ``gatefold: <text>`` on standard error.
    """


def quoted(text: object, limit: int = 60) -> str:
    """Foreign text as one short, printable, quoted line (names in model files are hostile)."""
    body = ascii(str(text))
    return body if len(body) <= limit else body[: limit - 4] + "...'"
