"""The page: what the daemon knows, in a browser, and what a person may do about it. A process of its own, which asks
the daemon as the `liveso` command does."""

from liveso.page.listening import listen_at_port, listen_at_socket
from liveso.page.serving import serve
from liveso.page.token import kept_token

__all__ = ["kept_token", "listen_at_port", "listen_at_socket", "serve"]
