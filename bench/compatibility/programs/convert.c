/* For each number on standard input: make a picture, write and read it as PNG, TIFF and PNG, and print the digest of
 * its pixels before and after. One first request has the libraries of both formats loaded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct wand wand;
void MagickWandGenesis(void);
wand *NewMagickWand(void);
wand *DestroyMagickWand(wand *);
int MagickSetSize(wand *, size_t, size_t);
int MagickReadImage(wand *, const char *);
int MagickReadImageBlob(wand *, const void *, size_t);
unsigned char *MagickGetImageBlob(wand *, size_t *);
int MagickSetImageFormat(wand *, const char *);
int MagickSetImageDepth(wand *, size_t);
int MagickSetImageCompression(wand *, int);
char *MagickGetImageSignature(wand *);
char *MagickGetException(const wand *, int *);
void *MagickRelinquishMemory(void *);

static wand *failed(wand *of, const char *what)
{
	int severity = 0;
	char *said = MagickGetException(of, &severity);

	printf("failed: %s: %.100s\n", what, said);
	MagickRelinquishMemory(said);
	DestroyMagickWand(of);
	return NULL;
}

/* The picture of `from`, written and read in a format. */
static wand *through(wand *from, const char *format)
{
	size_t size = 0;
	unsigned char *written;
	wand *to = NewMagickWand();

	if (!MagickSetImageFormat(from, format) || !(written = MagickGetImageBlob(from, &size))) {
		DestroyMagickWand(to);
		return failed(from, format);
	}
	DestroyMagickWand(from);
	if (!MagickReadImageBlob(to, written, size))
		to = failed(to, format);
	MagickRelinquishMemory(written);
	return to;
}

static void convert(long number)
{
	char source[64];
	char *before, *after;
	wand *picture = NewMagickWand();

	snprintf(source, sizeof source, "plasma:rgb(%ld,%ld,90)-blue", number % 256, number / 256 % 256);
	MagickSetSize(picture, 40 + number % 30, 40);
	if (!MagickReadImage(picture, source)) {
		failed(picture, source);
		return;
	}
	MagickSetImageDepth(picture, 16);
	before = MagickGetImageSignature(picture);
	if (!(picture = through(picture, "PNG")) || !(picture = through(picture, "TIFF")) ||
	    !(picture = through(picture, "PNG")))
		return;
	after = MagickGetImageSignature(picture);
	printf("converted %s %s\n", before, after);
	MagickRelinquishMemory(before);
	MagickRelinquishMemory(after);
	DestroyMagickWand(picture);
}

int main(void)
{
	char line[32];

	MagickWandGenesis();
	while (fgets(line, sizeof line, stdin)) {
		convert(atol(line));
		fflush(stdout);
	}
	return 0;
}
