"""TLS handshakes and hashes, one round after another, until standard input ends: tls_loop.py CERTIFICATE KEY.

Each round prints how many handshakes there were, how many of them and of the hashes failed, and which libcrypto
answers a call. Ends with 1 if anything failed.
"""

import ctypes
import hashlib
import select
import ssl
import sys
import traceback

HANDSHAKES_A_ROUND = 5
SHA_256_OF_A_MILLION_A = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"  # FIPS 180-2, B.3
REQUEST = b"question " * 1000
ANSWER = b"answer " * 1000


def step(side: ssl.SSLObject, outgoing: ssl.MemoryBIO, peer: ssl.MemoryBIO) -> bool:
    """Let one side go on with its handshake, and deliver what it says; whether it is done."""
    try:
        side.do_handshake()
        done = True
    except ssl.SSLWantReadError:
        done = False
    peer.write(outgoing.read())
    return done


def receive(side: ssl.SSLObject, size: int) -> bytes:
    content = b""
    while len(content) < size:
        content += side.read(size - len(content))
    return content


def handshake(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
    """A whole connection: handshake, a question, an answer, the end. Raises where anything is not as it must be."""
    to_server, from_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    to_client, from_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, from_server, server_side=True)
    client = client_context.wrap_bio(to_client, from_client, server_hostname="localhost")
    is_client_done = is_server_done = False
    for _ in range(20):
        is_client_done = is_client_done or step(client, from_client, to_server)
        is_server_done = is_server_done or step(server, from_server, to_client)
    assert is_client_done and is_server_done
    client.write(REQUEST)
    to_server.write(from_client.read())
    assert receive(server, len(REQUEST)) == REQUEST
    server.write(ANSWER)
    to_client.write(from_server.read())
    assert receive(client, len(ANSWER)) == ANSWER
    assert client.getpeercert()


def contexts(certificate: str, key: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(certificate)
    return server, client


def main() -> int:
    certificate, key = sys.argv[1:]
    libcrypto = ctypes.CDLL("libcrypto.so.3")  # the one that is loaded already
    kept = contexts(certificate, key)
    count = failures = wrong = 0
    while not select.select([sys.stdin], [], [], 0)[0] or sys.stdin.readline():
        fresh = contexts(certificate, key)
        for number in range(HANDSHAKES_A_ROUND):
            count += 1
            try:
                handshake(*(kept if number % 2 else fresh))
            except (ssl.SSLError, AssertionError, OSError):
                traceback.print_exc()
                failures += 1
        wrong += hashlib.sha256(b"a" * 1_000_000).hexdigest() != SHA_256_OF_A_MILLION_A
        version = libcrypto["OpenSSL_version"]  # looked up each time: an attribute would be remembered
        version.restype = ctypes.c_char_p
        print(f"handshakes {count} failures {failures} wrong {wrong} {version(0).decode()}", flush=True)
    return 1 if failures or wrong else 0


sys.exit(main())
