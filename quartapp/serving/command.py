"""The command `quartapp reload`."""

import click

from quartapp.serving import status


@click.command()
@click.option(
    "--pid-file",
    envvar="PID_FILE",
    help="The server's PID_FILE.  [default: server.pid in INSTANCE_PATH, or in instance/]",
)
@click.option("--instance-path", envvar="INSTANCE_PATH", default="instance", hidden=True)
@click.option(
    "--timeout",
    type=click.FloatRange(0),
    default=300.0,
    show_default=True,
    help="The most seconds to wait for the end of the reload.",
)
def reload(pid_file: str | None, instance_path: str, timeout: float) -> None:
    """Replace the processes of a running server by new ones, with its newest code and settings.

    Waits until they serve. If they cannot start, the old ones go on, and the exit code is 1.
    """
    pid_file = pid_file or f"{instance_path}/server.pid"
    try:
        status.reload(pid_file, timeout)
    except status.ReloadFailedError as error:
        raise click.ClickException(f"the reload failed: {error}") from error
    except OSError as error:
        raise click.ClickException(f"cannot reload ({pid_file}): {error.strerror}") from error
    click.echo("New processes serve.")
