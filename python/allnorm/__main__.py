"""`python -m allnorm`: the command."""

import os
import sys

from ._library import PACKAGE, _find_nvrtc


def main() -> None:
    command = os.environ.get("ALLNORM_COMMAND") or str(PACKAGE / "bin" / "allnorm")
    _find_nvrtc()
    try:
        os.execv(command, [command, *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"allnorm: cannot run {command}: {error}; install AllNorm's wheel again")


if __name__ == "__main__":
    main()
