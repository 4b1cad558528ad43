"""For each number on standard input: records as XML, through a parser, a database that lives on, and a compressor."""

import hashlib
import lzma
import sqlite3
import sys
from xml.parsers import expat

database = sqlite3.connect(":memory:", isolation_level=None)
database.execute("create table records (number integer primary key, text)")


def parse(document: str) -> dict[int, str]:
    found: dict[int, str] = {}
    current: list[int] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        if name == "record":
            current.append(int(attributes["number"]))

    def text(part: str) -> None:
        found[current[-1]] = found.get(current[-1], "") + part

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.CharacterDataHandler = begin, text
    parser.Parse(document, True)
    return found


def answer(number: int) -> str:
    numbers = range(number, number + 5)
    rows = [f'<record number="{it}">record &#{ord(str(it)[0])};{str(it)[1:]}</record>' for it in numbers]
    for key, text in parse(f"<list>{''.join(rows)}</list>").items():
        database.execute("insert or replace into records values (?, ?)", (key, text))
    chosen = "select * from records where number >= ? order by number"
    query = f"select group_concat(text, char(10)), sum(number) from ({chosen})"
    texts, total = database.execute(query, (number,)).fetchone()
    database.execute("delete from records where number < ?", (number,))
    again = lzma.decompress(lzma.compress(texts.encode()))
    assert again == texts.encode()
    return f"records {hashlib.sha256(again).hexdigest()} {total}"


for line in sys.stdin:
    try:
        print(answer(int(line)), flush=True)
    except Exception as error:
        print(f"failed: {type(error).__name__}: {error}", flush=True)
