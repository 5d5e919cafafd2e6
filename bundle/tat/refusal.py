"""The one error a user is meant to read: input that is refused rather than guessed about."""


class RefusedInputError(ValueError):
    """Input that the bundle refuses, said in one sentence: the value, the bound and the remedy.

    The command line prints such a message as its only line; everything else keeps its traceback.
    """
