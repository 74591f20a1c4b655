"""Errors of AllNorm, with the library's code."""


class AllNormError(RuntimeError):
    """Anything that AllNorm reports. `code` is its name: "timeout", "driver", "peer", ... (allnorm_c.h lists them)."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class ArgumentError(AllNormError, ValueError):
    """A wrong argument: the message names it, what was given and what is allowed. Nothing was launched."""

    def __init__(self, message: str, code: str = "invalid argument") -> None:
        super().__init__(message, code)


def refuse(argument: str, given: object, allowed: str) -> None:
    raise ArgumentError(f"{argument}: {given} given, allowed: {allowed}")
