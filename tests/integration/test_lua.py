"""Debian's Lua, with one letter of a message changed: tables that were made before are known again.

An empty table points to a node that is a constant of the library, which the library compares it with.
"""

import os

import pytest

from tests.harness import Bench
from tests.packages import LIBRARIES, package

PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef struct lua_State lua_State;
lua_State *luaL_newstate(void);
void luaL_openlibs(lua_State *);
int luaL_loadstring(lua_State *, const char *);
#if VERSION == 501
int lua_pcall(lua_State *, int, int, int);
#else
int lua_pcallk(lua_State *, int, int, int, int, void *);
#define lua_pcall(lua, given, results, handler) lua_pcallk(lua, given, results, handler, 0, NULL)
#endif
const char *lua_tolstring(lua_State *, int, size_t *);
void lua_settop(lua_State *, int), lua_close(lua_State *);
int main(void)
{
    lua_State *lua = luaL_newstate();
    char line[999];
    luaL_openlibs(lua);
    while (fgets(line, sizeof line, stdin)) {
        int failed = luaL_loadstring(lua, line) || lua_pcall(lua, 0, 1, 0);
        const char *text = lua_tolstring(lua, -1, NULL);
        printf("%s: %s\\n", failed ? "error" : "result", text ? text : "nothing");
        fflush(stdout);
        lua_settop(lua, 0);
    }
    lua_close(lua);
    return 0;
}
"""
BEFORE = """
empty = {} many = {} for i = 1, 500 do many[i] = {} end
kept = setmetatable({}, {__index = function(_, key) return key .. '!' end})
generator = coroutine.wrap(function() for i = 1, 9 do coroutine.yield(i) end end) generator()
return 'made'
"""
AFTER = """
empty.x = 1 for i, it in ipairs(many) do it[i] = i it['x' .. i] = i end collectgarbage() collectgarbage()
local sum = 0 for i, it in ipairs(many) do sum = sum + it[i] + it['x' .. i] end
local fresh = {} fresh.y = empty.x
return table.concat({sum, fresh.y, kept.hello, generator()}, ' ')
"""


def edited(content: bytes, number: int) -> bytes:
    """The library with another letter in a message, and another build ID."""
    message = b"attempt to %s a %s value"
    note = content.index(b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0") + 16
    assert content.count(message) == 1
    found = bytearray(content.replace(message, message[:-1] + b"%c" % (ord("E") + number)))
    found[note] ^= number + 1
    return bytes(found)


@pytest.mark.parametrize("version", ["5.1", "5.2"])
def test_tables_that_were_made_before_are_known_again(bench: Bench, version: str) -> None:
    file = f"liblua{version}.so.0"
    content = (package(f"liblua{version}-0") / LIBRARIES / file).resolve().read_bytes()
    (bench.folder / file).write_bytes(content)
    number_of_version = f"-DVERSION={version.replace('.', '0')}"
    bench.compile(PROGRAM, "program", f"./{file}", "-Wl,-rpath,$ORIGIN", number_of_version)
    program = bench.run("./program")
    bench.library(program.pid, file)
    for number in range(3):
        program.ask(BEFORE.replace("\n", " "))
        program.wait_for("result: made", after=2 * number)
        (bench.folder / "new").write_bytes(edited(content, number))
        os.replace(bench.folder / "new", bench.folder / file)
        bench.wait_for_version(file, file, program.pid)
        program.ask(AFTER.replace("\n", " "))
        program.wait_for("result: 250500 1 hello! 2", after=2 * number)
        bench.wait_for_library(program.pid, file, stale_functions=[])
    program.ask("return ({})()")
    program.wait_for("a table valuG")
    assert program.end() == 0
