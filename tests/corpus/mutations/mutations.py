# ruff: noqa: E501
"""Changes to `store.c` and `shapes.cc`, each of which makes the new version harmful to a process that runs, or not."""

from dataclasses import dataclass

Edit = tuple[str, str]


@dataclass(frozen=True)
class Mutation:
    """A change of the source: in each edit the first text, which stands there, becomes the second.

    `flags` are the new version's own.
    """

    name: str
    edits: tuple[Edit, ...]
    source: str = "store.c"
    flags: tuple[str, ...] = ()


def c(name: str, *edits: Edit, flags: tuple[str, ...] = ()) -> Mutation:
    return Mutation(name, edits, "store.c", flags)


def cc(name: str, *edits: Edit) -> Mutation:
    return Mutation(name, edits, "shapes.cc")


HARMFUL = (
    c(
        "static variables of one size exchanged",
        ("static int item_count;\nstatic int last_found;", "static int last_found;\nstatic int item_count;"),
        ("static int retries = 3;\n", "static int retries = 3;\n/* order */\n"),
        (
            "int store_count(void)\n{\n\treturn item_count;\n}\n\nint store_last(void)\n{\n\treturn last_found;\n}",
            "int store_last(void)\n{\n\treturn last_found;\n}\n\nint store_count(void)\n{\n\treturn item_count;\n}",
        ),
        flags=("-fno-toplevel-reorder",),
    ),
    c("variable inserted", ("static int item_count;", "static int item_count;\nint store_inserted[4];")),
    c(
        "static variable inserted",
        ("static int last_found;", "static long total;\nstatic int last_found;"),
        ("item_count++;", "item_count++, total++;"),
    ),
    c("static array longer", ("limits[2] = {7, 9}", "limits[3] = {7, 9, 11}")),
    c("member inserted at the start", ("struct item *next;\n", "long created;\n\tstruct item *next;\n")),
    c("member inserted in the middle", ("\tint weight;\n\tchar", "\tint weight;\n\tint height;\n\tchar")),
    c(
        "member inserted at the end",
        ("\tint marks[4];\n};", "\tint marks[4];\n\tlong added;\n};"),
        ("it->next = items;", "it->next = items;\n\tit->added = id;"),
    ),
    c("members exchanged", ("\tint id;\n\tint weight;\n", "\tint weight;\n\tint id;\n")),
    c("member widened", ("\tint weight;\n\tchar", "\tlong weight;\n\tchar")),
    c("member narrowed", ("\tint weight;\n\tchar", "\tshort weight;\n\tchar")),
    c(
        "member removed",
        ("\tenum kind kind;\n\tstruct", "\tstruct"),
        ("\tit->kind = weight > 50 ? LARGE : SMALL;\n", ""),
        ("it->kind == LARGE", "it->weight > 50"),
    ),
    c("bit fields exchanged", ("shape : 3, color : 5", "color : 5, shape : 3")),
    c("bit field wider", ("shape : 3, color : 5", "shape : 4, color : 5")),
    c("union grown", ("\t\tshort half;\n", "\t\tshort half;\n\t\tdouble exact[2];\n")),
    c("array in the object longer", ("int marks[4];", "int marks[6];")),
    c("name longer", ("char name[16];", "char name[24];")),
    c("enumeration widened", ("enum kind { SMALL, LARGE };", "enum kind { SMALL, LARGE, HUGE_ONE = 1L << 40 };")),
    c("nested structure grown", ("struct point {\n\tint x, y;", "struct point {\n\tint x, y, z;")),
    c("nested structure's members exchanged", ("\tint x, y;", "\tint y, x;")),
    c(
        "array turned into a pointer",
        ("\tint marks[4];", "\tint *marks;"),
        ("\tfor (int i", "\tit->marks = malloc(sizeof(int[4]));\n\tfor (int i"),
    ),
    c(
        "function pointers exchanged",
        (
            "\tlong (*price)(struct item *);\n\tlong (*volume)(struct item *);",
            "\tlong (*volume)(struct item *);\n\tlong (*price)(struct item *);",
        ),
    ),
    c("element of a heap array grown", ("\tint content;\n};", "\tint content;\n\tlong more;\n};")),
    c("element of a heap array exchanged", ("\tint key;\n\tint content;", "\tint content;\n\tint key;")),
    c("exported variable longer", ("store_options[2] = {1, 2}", "store_options[3] = {1, 2, 3}")),
    c("exported variable shorter", ("int store_options[2] = {1, 2};", "short store_options[2] = {1, 2};")),
    c("symbol removed", ("int store_weigh(void)", "int store_mass(void)")),
    c("symbol turned into a variable", ("int store_retries(void)\n{\n\treturn retries;\n}", "int store_retries = 3;")),
    c(
        "thread-local variable added",
        ("static __thread int thread_adds;", "static __thread int thread_adds;\nstatic __thread long thread_sum;"),
        ("thread_adds++;", "thread_adds++;\n\tthread_sum += weight;"),
    ),
    c(
        "thread-local variable grown",
        ("static __thread int thread_adds;", "static __thread long thread_adds;"),
        ("return thread_adds * 100", "return (int)thread_adds * 100"),
    ),
    c(
        "thread-local variables exchanged",
        (
            "static __thread int thread_adds;\nstatic __thread int thread_finds;",
            "static __thread int thread_finds __attribute__((used));\nstatic __thread int thread_adds __attribute__((used));",
        ),
        flags=("-fno-toplevel-reorder",),
    ),
    c(
        "static local variable added before",
        ("\tstatic int adds;", "\tstatic int before;\n\tstatic int adds;\n\tbefore += id;"),
        ("store_level = adds;", "store_level = adds + (before < 0);"),
    ),
    c(
        "new constructor",
        (
            "static void complain",
            "static int *table;\n__attribute__((constructor)) static void make_table(void)\n{\n\ttable = calloc(9, sizeof *table);\n}\n\nstatic void complain",
        ),
        ("return retries;", "return retries + table[2];"),
    ),
    c("constructor sets up something else", ("last_found = -1;\n}", "last_found = -1;\n\tretries = 9;\n}")),
    c(
        "member in padding",
        ("\t} value;\n", "\t} value;\n\tint rank;\n"),
        ("it->id = id;", "it->id = id;\n\tit->rank = 7;"),
        ("return it->value.number;", "return it->value.number * it->rank / 7;"),
    ),
    c(
        "whole number turned into a floating-point one",
        ("static int item_count;", "static float item_count;"),
        ("return item_count;", "return (int)item_count;"),
    ),
    cc("base class added", ("class Shape {", "class Shape : public Named {")),
    cc(
        "virtual function added",
        (
            "virtual long edge() const = 0;\n",
            "virtual long corners() const { return 4; }\n\tvirtual long edge() const = 0;\n",
        ),
        ("return shape->edge();", "return shape->edge() + 0 * shape->corners();"),
    ),
    cc(
        "virtual functions exchanged",
        (
            "virtual long area() const = 0;\n\tvirtual long edge() const = 0;",
            "virtual long edge() const = 0;\n\tvirtual long area() const = 0;",
        ),
    ),
    cc(
        "virtual function replaced",
        ("virtual long edge() const = 0;", "virtual void edge(long *result) const = 0;"),
        (
            "long edge() const override { return 4 * side; }",
            "void edge(long *result) const override { *result = 4 * side; }",
        ),
        (
            "long edge() const override { return 2 * (width + height); }",
            "void edge(long *result) const override { *result = 2 * (width + height); }",
        ),
        ("return shape->edge();", "long result = -1;\n\tshape->edge(&result);\n\treturn result;"),
    ),
    cc("member of a base class added", ("long weight = 5;", "long weight = 5;\n\tlong height = 9;")),
    cc(
        "members of a base class exchanged",
        ("long weight = 5;\n\tint color = 6;", "int color = 6;\n\tlong weight = 5;"),
    ),
    cc("derived class grown", ("long count = 3;", "long count = 3;\n\tlong more = 4;")),
    cc(
        "new object with a constructor",
        (
            "static long deleted;",
            "static long deleted;\nstruct Starter {\n\tStarter() { deleted = 100; }\n};\nstatic Starter starter;",
        ),
        ("made * 100 + deleted;", "made * 100 + deleted - 100;"),
    ),
)

HARMLESS = (
    c("other condition", ("weight > 50 ?", "weight > 60 ?")),
    c(
        "bounds check",
        ("\treturn it->marks[index];", "\tif (index < 0 || index >= 4)\n\t\treturn -1;\n\treturn it->marks[index];"),
    ),
    c(
        "new static function",
        (
            "struct item *store_add",
            "__attribute__((noinline)) static int scaled(int id)\n{\n\treturn id * 1000;\n}\n\nstruct item *store_add",
        ),
        ("it->value.number = id * 1000;", "it->value.number = scaled(id);"),
    ),
    c(
        "new export",
        (
            "int store_retries(void)",
            "int store_twice(int number)\n{\n\treturn 2 * number;\n}\n\nint store_retries(void)",
        ),
    ),
    c("other message", ('"no memory"', '"there is no memory left for another item"')),
    c("constant table", ("{2, 3, 5, 7}", "{2, 3, 5, 11}")),
    c(
        "algorithm",
        (
            "\tint sum = 0;\n\tfor (struct item *it = items; it; it = it->next)\n\t\tsum += it->weight;\n\treturn sum;",
            "\tint sum = 0, number = 0;\n\tstruct item *it = items;\n\twhile (it) {\n\t\tsum += it->weight;\n\t\tit = it->next;\n\t\tif (++number > 1000000)\n\t\t\tbreak;\n\t}\n\treturn sum;",
        ),
    ),
    c("new import", ("\treturn it->name;", '\treturn strlen(it->name) < sizeof it->name ? it->name : "";')),
    c("other default", ("retries = 3;", "retries = 4;")),
    c("inlined", ("static long price_of", "__attribute__((always_inline)) static inline long price_of")),
    c("not inlined", ("static void complain", "__attribute__((noinline)) static void complain")),
    c(
        "functions in another order",
        ("int store_count(void)\n{\n\treturn item_count;\n}\n\n", ""),
        ("int store_weigh(void)", "int store_count(void)\n{\n\treturn item_count;\n}\n\nint store_weigh(void)"),
    ),
    c("other flags", flags=("-fno-strict-aliasing", "-fno-plt")),
    c("other schedule", flags=("-fno-schedule-insns2", "-fno-tree-vectorize")),
    c("log message", ("\tint sum = 0;\n", '\tint sum = 0;\n\tcomplain("weighs", __LINE__);\n')),
    c("lines moved", ("struct item *store_find", "\n\n\n\nstruct item *store_find")),
    c(
        "larger local buffer",
        (
            '\tfprintf(stderr, "store: %s (line %d)\\n", what, line);',
            '\tchar text[200];\n\tsnprintf(text, sizeof text, "store: %s (line %d)\\n", what, line);\n\tfputs(text, stderr);',
        ),
    ),
    c("other result of an error", ("entries[key].content : -1;", "entries[key].content : -2;")),
    c("early return", ("\tthread_finds++;\n", "\tthread_finds++;\n\tif (id < 0)\n\t\treturn NULL;\n")),
    c("local variable of another type", ("\tint sum = 0;", "\tlong sum = 0;"), ("return sum;", "return (int)sum;")),
    c(
        "function split",
        (
            "int store_distance(const struct item *it)\n{\n\treturn it->position.x + it->position.y;",
            "static int across(const struct point *it)\n{\n\treturn it->x + it->y;\n}\n\nint store_distance(const struct item *it)\n{\n\treturn across(&it->position);",
        ),
    ),
    c(
        "local structure changed",
        (
            "int store_limit(int index)\n{\n",
            "int store_limit(int index)\n{\n\tstruct {\n\t\tint a, b;\n\t} pair = {index, index + 1};\n\tif (pair.b < pair.a)\n\t\treturn -1;\n",
        ),
    ),
    c("member checked", ("\treturn it->name;", '\tif (it->id == -77)\n\t\treturn "";\n\treturn it->name;')),
    c("condition added", ("return it->kind == LARGE;", "return it->kind == LARGE && it->weight > 0;")),
    c("new enumerator", ("enum kind { SMALL, LARGE };", "enum kind { SMALL, LARGE, MEDIUM };")),
    c("member renamed", ("short half;", "short part;")),
    c("argument checked", ("\treturn it->price(it);", "\treturn it && it->price ? it->price(it) : 0;")),
    c(
        "volatile-free rewrite",
        (
            "\treturn it->shape * 100 + it->color;",
            "\tint look = it->shape;\n\tlook *= 100;\n\tlook += it->color;\n\treturn look;",
        ),
    ),
    cc("other computation", ("return 4 * side;", "return side + side + side + side;")),
    cc("virtual function rewritten", ("return 2 * (width + height);", "return width + width + height + height;")),
    cc(
        "function added to a class",
        ("explicit Square(long side)", "long corners() const { return 4; }\n\texplicit Square(long side)"),
    ),
)
