"""The one error that is written for users: input that is refused rather than guessed about."""


class RefusedInputError(ValueError):
    """Input that the bundle refuses. Its message gives in one sentence the value, the bound and the remedy.

    The command line prints such a message as its only line; any other error keeps its traceback.
    """
