"""nginx with TLS, gzip and locations by regular expressions: a master and two workers."""

from pathlib import Path

from bench.compatibility.load import Connection
from bench.compatibility.programs.web import Web, ungzip
from bench.compatibility.site import Site, is_root

_TEXT = "some text to compress " * 100
_CONFIGURATION = """
{user}
worker_processes 2;
daemon off;
pid nginx.pid;
error_log stderr notice;
events {{ worker_connections 256; }}
http {{
    access_log off;
    gzip on; gzip_min_length 1; gzip_types text/plain;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate cert.pem; ssl_certificate_key key.pem;
        keepalive_requests 50;
        location ~ ^/(?<name>[a-z]+)/(?<number>\\d+)$ {{ default_type text/plain; return 200 "$name $number {text}"; }}
    }}
}}
"""


def serve(site: Site, root: Path, with_agent: bool) -> None:
    """Start nginx in the site, and wait until it listens."""
    site.make_certificate()
    user = "user root;" if is_root() else ""
    (site.folder / "nginx.conf").write_text(_CONFIGURATION.format(user=user, port=site.port, text=_TEXT))
    command = (root / "usr/sbin/nginx", "-e", "stderr", "-p", site.folder, "-c", site.folder / "nginx.conf")
    site.start(*command, with_agent=with_agent, root=root)
    site.wait_for_port()


def start(site: Site) -> None:
    serve(site, site.root, with_agent=True)


def connect(site: Site, _index: int) -> Connection:
    return Web(site.port, site.folder / "cert.pem", _ask, _judge, {"gzip": ungzip})


def right_answer(number: int) -> str:
    return f"page {number} {_TEXT}"


def _ask(number: int) -> tuple[str, str, dict[str, str], bytes]:
    return "GET", f"/page/{number}", {"Accept-Encoding": "gzip"}, b""


def _judge(number: int, status: int, text: str) -> str:
    return "" if (status, text) == (200, right_answer(number)) else f"status {status}: {text[:60]!r}"
