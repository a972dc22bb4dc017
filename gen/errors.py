"""The one exception that means "the user's input or options are wrong" (exit code 2), and the
warning that means "it was done, but look at this"."""

__all__ = ["NumbersWarning", "UserError"]


class UserError(Exception):
    """Bad input, told in one line: what, where, the legal set, the remedy.

    The command line prints it as ``gatefold: error: <text>`` and exits with code 2. Text that comes
    from a file is shown through :func:`quoted`, so that it stays on one line.
    """

    def __str__(self):
        return " ".join(super().__str__().split())


class NumbersWarning(UserWarning):
    """Values saturated, or calibration data say too little: the numbers may not be those wanted.

    The command line prints it as ``gatefold: <text>`` on standard error.
    """


def quoted(text: object, limit: int = 60) -> str:
    """Foreign text as one short, printable, quoted line (names in model files are hostile)."""
    body = ascii(str(text))
    return body if len(body) <= limit else body[: limit - 4] + "...'"
