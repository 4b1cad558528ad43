/* Holds a key of each kind, and writes them as texts for each line that it reads: by encoders of libcrypto that it
 * found the first time. */
#include <stdio.h>
#include <string.h>

void *BIO_new(const void *type);
const void *BIO_s_mem(void);
int BIO_free(void *bio);
int BIO_read(void *bio, void *data, int size);
const char *OpenSSL_version(int what);
void *EVP_PKEY_Q_keygen(void *library, const char *properties, const char *kind, ...);
int EVP_PKEY_print_private(void *bio, const void *key, int indent, void *context);

static const char *const kinds[] = {"ED448", "ED25519", "X448", "X25519"};

int main(void)
{
	void *keys[4];
	char line[16], text[4096];
	for (int i = 0; i < 4; i++)
		keys[i] = EVP_PKEY_Q_keygen(NULL, NULL, kinds[i]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("ready\n");
	while (fgets(line, sizeof line, stdin)) {
		printf("%s:", OpenSSL_version(0));
		for (int i = 0; i < 4; i++) {
			void *bio = BIO_new(BIO_s_mem());
			int is_written = EVP_PKEY_print_private(bio, keys[i], 0, NULL);
			int size = BIO_read(bio, text, sizeof text - 1);
			text[size > 0 ? size : 0] = 0;
			printf(" %s",
			       is_written > 0 && !strncmp(text, kinds[i], strlen(kinds[i])) ? kinds[i] : "wrong");
			BIO_free(bio);
		}
		printf("\n");
	}
	return 0;
}
