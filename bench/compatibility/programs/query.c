/* A client of PostgreSQL: for each number on standard input, one query over XML; a new connection now and then. */
#include <stdio.h>
#include <stdlib.h>

typedef struct connection connection;
typedef struct result result;
connection *PQconnectdb(const char *);
int PQstatus(const connection *);
char *PQerrorMessage(const connection *);
void PQfinish(connection *);
result *PQexecParams(connection *, const char *, int, const unsigned *, const char *const *, const int *, const int *,
		     int);
int PQresultStatus(const result *);
char *PQgetvalue(const result *, int, int);
void PQclear(result *);

static const char QUERY[] =
	"select 'item ' || (xpath('/list/item[@of = 5]/text()', document))[1] || ' of ' || "
	"(xpath('/list/item/@of', document))[1] || ': ' || xmlelement(name sum, $1::int + 5) "
	"from (select xmlparse(document '<list><item of=\"4\">0</item><item of=\"5\">' || $1 || '</item></list>') "
	"as document) as made where xpath_exists('/list', document)";

int main(int count, char **arguments)
{
	connection *to = NULL;
	char line[32];
	int asked = 0;

	if (count != 2)
		return 2;
	while (fgets(line, sizeof line, stdin)) {
		const char *values[1] = {line};
		result *answer;

		if (!to)
			to = PQconnectdb(arguments[1]);
		for (char *at = line; *at; at++)
			if (*at == '\n')
				*at = 0;
		answer = PQexecParams(to, QUERY, 1, NULL, values, NULL, NULL, 0);
		if (PQstatus(to) == 0 && PQresultStatus(answer) == 2)
			printf("%s\n", PQgetvalue(answer, 0, 0));
		else
			printf("failed: %.60s\n", PQerrorMessage(to));
		fflush(stdout);
		PQclear(answer);
		if (++asked % 400 == 0) {
			PQfinish(to);
			to = NULL;
		}
	}
	return 0;
}
