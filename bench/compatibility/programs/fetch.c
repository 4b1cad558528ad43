/* A client that fetches, for each number on standard input, a page over HTTP/2; a new connection now and then. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void CURL;
CURL *curl_easy_init(void);
int curl_easy_setopt(CURL *, int, ...);
int curl_easy_perform(CURL *);
int curl_easy_getinfo(CURL *, int, ...);
void curl_easy_cleanup(CURL *);
const char *curl_easy_strerror(int);
int curl_global_init(long);

enum { WRITEDATA = 10001, URL = 10002, WRITEFUNCTION = 20011, CAINFO = 10065, ENCODING = 10102, HTTP_VERSION = 84 };
enum { RESPONSE_CODE = 0x200002, USED_VERSION = 0x20002e };

static char body[65536];
static size_t length;

static size_t keep(char *data, size_t size, size_t count, void *nothing)
{
	(void)nothing;
	if (length + size * count >= sizeof body)
		return 0;
	memcpy(body + length, data, size * count);
	length += size * count;
	return size * count;
}

int main(int count, char **arguments)
{
	CURL *curl = NULL;
	char line[32], url[256];
	int asked = 0;

	if (count != 3)
		return 2;
	curl_global_init(3);
	while (fgets(line, sizeof line, stdin)) {
		long status = 0, version = 0;
		int result;

		if (!curl)
			curl = curl_easy_init();
		line[strcspn(line, "\n")] = 0;
		snprintf(url, sizeof url, "%s%s", arguments[1], line);
		length = 0;
		curl_easy_setopt(curl, URL, url);
		curl_easy_setopt(curl, CAINFO, arguments[2]);
		curl_easy_setopt(curl, HTTP_VERSION, 4L);
		curl_easy_setopt(curl, ENCODING, "gzip");
		curl_easy_setopt(curl, WRITEFUNCTION, keep);
		curl_easy_setopt(curl, WRITEDATA, NULL);
		result = curl_easy_perform(curl);
		curl_easy_getinfo(curl, RESPONSE_CODE, &status);
		curl_easy_getinfo(curl, USED_VERSION, &version);
		body[length] = 0;
		if (result)
			printf("failed: %s\n", curl_easy_strerror(result));
		else
			printf("%ld HTTP/%ld %s\n", status, version == 3 ? 2 : version, body);
		fflush(stdout);
		if (++asked % 50 == 0) {
			curl_easy_cleanup(curl);
			curl = NULL;
		}
	}
	return 0;
}
