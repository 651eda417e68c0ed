"""`python -m deskloop`: the command line without the script."""

from deskloop.cli import main

if __name__ == "__main__":
    main()
