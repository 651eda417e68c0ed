"""Groups of commands that suggest the nearest name for one that they do not have."""

import difflib

import click


class Suggesting(click.Group):
    """A group that refuses an unknown command with the nearest right name, or all names."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As `click.Group`, but an unknown name gets a suggestion."""
        names = self.list_commands(ctx)
        name = args[0]
        if name not in names and not name.startswith("-"):
            near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
            ctx.fail(f"No such command {name!r}; {hint}")
        return super().resolve_command(ctx, args)
