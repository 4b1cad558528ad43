from pathlib import Path

import click

from liveso.errors import ExitCode
from liveso.settings import read_settings

_PORT = 7357


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help=f"The port, of the loopback interface; {_PORT} if not said.",
)
@click.option("--socket", "path", type=click.Path(path_type=Path), help="A Unix socket instead, for this user alone.")
def page(port: int | None, path: Path | None) -> ExitCode:
    """Show in a browser which services run which libraries, why, and what happened; roll back and allow there.

    Whoever can reach the page may look. What changes something needs the token that is printed at the start.
    """
    if path is not None and port is not None:
        raise click.UsageError("give --port or --socket, not both")
    settings = read_settings()  # what is wrong there is said before the rest is loaded
    from liveso.page import kept_token, listen_at_port, listen_at_socket, serve

    if path is not None:
        listener, where = listen_at_socket(path.absolute()), f"{path} (http, as localhost)"
        token_file, link = path.absolute().with_name(f"{path.name}.token"), ""
    else:
        listener = listen_at_port(_PORT if port is None else port)
        number = listener.getsockname()[1]
        where = f"http://127.0.0.1:{number}/"
        token_file, link = settings.socket.with_name(f"page-{number}.token"), where
    try:
        with kept_token(token_file) as token:
            print(f"the page is at {where}")
            if link:
                print(f"to roll back and allow there, too: {link}#token={token}")
            print(f"the token is in {token_file}, while the page runs", flush=True)
            was_interrupted = serve(settings, listener, token)
    finally:
        listener.close()
        if path is not None:
            path.unlink(missing_ok=True)
    return ExitCode.INTERRUPTED if was_interrupted else ExitCode.DONE
