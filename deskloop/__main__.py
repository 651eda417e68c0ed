"""The command: `deskloop`, or `python -m deskloop`."""

import sys

from deskloop.contract.errors import ConfigError
from deskloop.run.interrupt import complain
from deskloop.run.packages import check_packages


def main() -> None:
    """Run the command line, once it is certain that it is ours."""
    try:
        check_packages()
    except ConfigError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    from cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
