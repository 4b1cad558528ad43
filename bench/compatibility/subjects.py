"""The programs that are tried, and what changes under them."""

from dataclasses import replace

from bench.compatibility.programs import curl, httpd, imagemagick, memcached, nginx, postgresql, python, redis, sshd
from bench.compatibility.subject import Change, Subject

_OPENSSL_LAST = "3.0.20-1~deb12u2"  # the last version before the structures of libssl changed
_TLS = ("libcrypto.so.3", "libssl.so.3")
_OPENSSL = (
    Change(("libssl3",), _TLS, after=_OPENSSL_LAST),
    Change(("libssl3",), _TLS, before=_OPENSSL_LAST),
)
_ZLIB = Change(("zlib1g",), ("libz.so.1",), old_from="bullseye")
_PCRE2 = Change(("libpcre2-8-0",), ("libpcre2-8.so.0",))
_EXPAT = Change(("libexpat1",), ("libexpat.so.1",))
_BROTLI = Change(("libbrotli1",), ("libbrotlicommon.so.1", "libbrotlienc.so.1"))
_LZMA = Change(("liblzma5",), ("liblzma.so.5",))
_PNG = Change(("libpng16-16",), ("libpng16.so.16",))
_KERBEROS = Change(
    ("libkrb5support0", "libk5crypto3", "libkrb5-3", "libgssapi-krb5-2"),
    ("libkrb5support.so.0", "libk5crypto.so.3", "libkrb5.so.3", "libgssapi_krb5.so.2"),
    release="bullseye",
)
_NGINX = ("bookworm", ("nginx",))
_POSTGRESQL = ("postgresql-15", "postgresql-client-15", "tzdata")
_MAGICK = ("libmagickwand-6.q16-6", "imagemagick-6-common", "fontconfig-config")

SUBJECTS = (
    Subject("nginx", ("nginx",), (*_OPENSSL, _ZLIB, _PCRE2), nginx.start, nginx.connect),
    Subject(
        "Apache httpd",
        ("apache2-bin",),
        (_BROTLI, *_OPENSSL, Change(("libaprutil1",), ("libaprutil-1.so.0",)), _EXPAT, _ZLIB, _PCRE2),
        httpd.start,
        httpd.connect,
    ),
    Subject(
        "PostgreSQL",
        _POSTGRESQL,
        (
            Change(("libpq5",), ("libpq.so.5",)),
            Change(("libxml2",), ("libxml2.so.2",)),
            _KERBEROS,
            *_OPENSSL,
            Change(("libsystemd0",), ("libsystemd.so.0",)),
        ),
        postgresql.start,
        postgresql.connect,
        connections=postgresql.CONNECTIONS,
    ),
    Subject(
        "Redis",
        ("redis-server", "redis-tools"),
        (
            *_OPENSSL,
            Change(("libsystemd0",), ("libsystemd.so.0",)),
            Change(("libjemalloc2",), ("libjemalloc.so.2",), old_from="bullseye"),
        ),
        redis.start,
        redis.connect,
    ),
    Subject(
        "memcached",
        ("memcached",),
        (
            Change(("libsasl2-2",), ("libsasl2.so.2",)),
            Change(("libevent-2.1-7",), ("libevent-2.1.so.7",)),
            *_OPENSSL,
        ),
        memcached.start,
        memcached.connect,
    ),
    Subject(
        "OpenSSH",
        ("openssh-server",),
        (
            *(replace(it, libraries=_TLS[:1]) for it in _OPENSSL),
            _ZLIB,
            Change(("libsystemd0",), ("libsystemd.so.0",)),
        ),
        sshd.start,
        sshd.connect,
    ),
    Subject(
        "libcurl client",
        ("libcurl4",),
        (
            *_OPENSSL,
            Change(("libcurl4",), ("libcurl.so.4",)),
            Change(("libnghttp2-14",), ("libnghttp2.so.14",)),
        ),
        curl.start,
        curl.connect,
        connections=curl.CONNECTIONS,
        helpers=(_NGINX,),
    ),
    Subject(
        "libcurl client (bullseye)",
        ("libcurl4",),
        (
            Change(("libcurl4",), ("libcurl.so.4",), release="bullseye"),
            Change(("libnghttp2-14",), ("libnghttp2.so.14",), release="bullseye"),
            Change(("libssl1.1",), ("libcrypto.so.1.1", "libssl.so.1.1"), release="bullseye"),
        ),
        curl.start,
        curl.connect,
        release="bullseye",
        connections=curl.CONNECTIONS,
        helpers=(_NGINX,),
    ),
    Subject(
        "Python",
        ("python3.11", "python3.11-minimal"),
        (_LZMA, _EXPAT, Change(("libsqlite3-0",), ("libsqlite3.so.0",))),
        python.start,
        python.connect,
        connections=python.CONNECTIONS,
    ),
    Subject(
        "Python (bullseye)",
        ("python3.9", "python3.9-minimal"),
        (
            Change(("libsqlite3-0",), ("libsqlite3.so.0",), release="bullseye"),
            Change(("liblzma5",), ("liblzma.so.5",), release="bullseye"),
            Change(("libexpat1",), ("libexpat.so.1",), release="bullseye"),
        ),
        python.start,
        python.connect,
        release="bullseye",
        connections=python.CONNECTIONS,
    ),
    Subject(
        "ImageMagick",
        _MAGICK,
        (_PNG, Change(("libtiff6",), ("libtiff.so.6",)), _LZMA),
        imagemagick.start,
        imagemagick.connect,
        connections=imagemagick.CONNECTIONS,
    ),
    Subject(
        "ImageMagick (bullseye)",
        _MAGICK,
        (
            Change(("libpng16-16",), ("libpng16.so.16",), release="bullseye"),
            Change(("libtiff5",), ("libtiff.so.5",), release="bullseye"),
        ),
        imagemagick.start,
        imagemagick.connect,
        release="bullseye",
        connections=imagemagick.CONNECTIONS,
    ),
)
