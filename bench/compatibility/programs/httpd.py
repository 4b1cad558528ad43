"""Apache httpd with worker threads: files in two encodings over TLS, and WebDAV, whose requests are XML.

Each worker process ends after some connections, so that new ones are made while the libraries change, and afterwards.
A process that ends closes idle connections, and a request may be on its way there: each request has its own connection.
"""

import functools

from bench.compatibility.load import Connection
from bench.compatibility.programs.web import Web, unbrotli, ungzip
from bench.compatibility.site import Site

_PAGES = 10
_MODULES = "mpm_event authz_core dir mime alias headers filter deflate brotli ssl socache_shmcb dav dav_fs rewrite"
_CONFIGURATION = """
ServerRoot "{folder}"
ServerName localhost
PidFile "{folder}/httpd.pid"
ErrorLog /dev/stderr
LogLevel warn
Mutex file:{folder} default
Listen 127.0.0.1:{port}
{modules}
User nobody
Group nogroup
StartServers 2
MinSpareThreads 8
MaxSpareThreads 64
ThreadsPerChild 16
MaxRequestWorkers 64
MaxConnectionsPerChild 2000
KeepAlive off
TypesConfig "{folder}/mime.types"
DocumentRoot "{folder}/pages"
DavLockDB "{folder}/locks/db"
SSLEngine on
SSLCertificateFile "{folder}/cert.pem"
SSLCertificateKeyFile "{folder}/key.pem"
SSLSessionCache shmcb:{folder}/sessions(512000)
RewriteEngine on
RewriteRule ^/page/([0-9]+)$ /$1.txt
AddOutputFilterByType BROTLI_COMPRESS;DEFLATE text/plain
<Location /dav>
    Dav on
</Location>
Alias /dav "{folder}/pages"
"""
_FIND = b'<?xml version="1.0"?><propfind xmlns="DAV:"><prop><getcontentlength/></prop></propfind>'


def start(site: Site) -> None:
    site.make_certificate()
    pages, locks = site.folder / "pages", site.folder / "locks"
    for folder in (pages, locks):
        folder.mkdir()
        site.give(folder)
    for number in range(_PAGES):
        (pages / f"{number}.txt").write_text(_page(number))
    (site.folder / "mime.types").write_text("text/plain txt\n")
    folder = site.root / "usr/lib/apache2/modules"
    modules = "\n".join(f"LoadModule {it}_module {folder}/mod_{it}.so" for it in _MODULES.split())
    text = _CONFIGURATION.format(folder=site.folder, port=site.port, modules=modules)
    (site.folder / "httpd.conf").write_text(text)
    site.start(site.root / "usr/sbin/apache2", "-f", site.folder / "httpd.conf", "-DFOREGROUND")
    site.wait_for_port()


def connect(site: Site, _index: int) -> Connection:
    decoders = {"br": _brotli(site), "gzip": ungzip}
    return Web(site.port, site.folder / "cert.pem", _ask, _judge, decoders)


@functools.cache
def _brotli(site: Site):  # type: ignore[no-untyped-def]
    return unbrotli(site.root)


def _page(number: int) -> str:
    return f"page {number}\n" + "some text to compress " * (100 + number)


def _ask(number: int) -> tuple[str, str, dict[str, str], bytes]:
    page = number % _PAGES
    if number % 3 == 0:
        return "PROPFIND", f"/dav/{page}.txt", {"Depth": "0", "Content-Type": "text/xml"}, _FIND
    return "GET", f"/page/{page}", {"Accept-Encoding": ("br", "gzip")[number % 3 - 1]}, b""


def _judge(number: int, status: int, text: str) -> str:
    page = _page(number % _PAGES)
    if number % 3 == 0:
        is_right = status == 207 and f"getcontentlength>{len(page)}<" in text
    else:
        is_right = status == 200 and text == page
    return "" if is_right else f"status {status}: {text[:200]!r}"
