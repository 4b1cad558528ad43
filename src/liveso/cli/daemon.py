import click

from liveso.settings import read_settings


@click.command()
@click.option("--on-demand", is_flag=True, help="Log to a file, and end a while after the last process.")
def daemon(on_demand: bool) -> None:
    """Serve this user's processes, in the foreground. The first of them starts a daemon by itself, too."""
    settings = read_settings()  # what is wrong there is said before the rest is loaded
    from liveso.daemon import run_daemon

    run_daemon(settings, on_demand)
