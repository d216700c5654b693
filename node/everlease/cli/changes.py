"""What a new revision changes, told the same way by every command that makes one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from everlease.cli.output import printable

Comment = Annotated[str, typer.Option(help="Why; kept in the history.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")]


def tell_change(answer: Any, revision: int, dry_run: bool) -> None:
    """answer: of ApplyConfig, RollbackConfig or SetSubnetState. What it changes, whom it orphans, what is in force."""
    for line in answer.changes:
        typer.echo(f"  {printable(line)}")
    hidden = getattr(answer, "change_count", 0) - len(answer.changes)
    if hidden > 0:
        typer.echo(f"  and {hidden:,} changes more: --dry-run and `everlease config diff` show them")
    if not answer.changes:
        typer.echo("  nothing is different")
    for line in getattr(answer, "orphans", ()) or map(orphans_text, answer.orphaned_leases):
        typer.echo(f"  warning: {line}", err=True)
    if dry_run:
        typer.echo(f"dry run: nothing was changed; revision {revision} stays in force" if revision else "dry run")
    else:
        typer.echo(f"revision {revision} is in force")


def orphans_text(orphans: Any) -> str:
    """ "214 leases of subnet 1 lie outside every pool, such as 10.0.0.9"."""
    count = f"{orphans.count:,} live lease{'s' * (orphans.count != 1)} of subnet {orphans.subnet}"
    examples = f", such as {' '.join(orphans.examples)}" if orphans.examples else ""
    return f"{count}: {orphans.reason}{examples}"
