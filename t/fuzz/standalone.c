/* standalone.c: runs a fuzz target without libFuzzer.
 *
 *	NAME [-n N] [-s SEED] [-o FILE] FILE-or-DIRECTORY ...
 *
 * Every file is run once: the corpus as a regression test.  With -n, N more inputs are made
 * from it by random changes that depend on SEED alone, so that a sanitizer build under any
 * compiler fuzzes too and a failure can be had again.  -o keeps the current input in FILE,
 * where a crash leaves it.  An input that takes 20 seconds is a failure.  Prints TAP. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define INPUT_MAX (1 << 20)
#define SLOW      20 /* seconds */

struct input {
	uint8_t *p;
	size_t n;
};
static struct input *corpus;
static size_t ncorpus;
static uint64_t rnd = 88172645463325252u;
static const char *keep;

static void
die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *
room(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (!p)
		die("malloc");
	return p;
}

static uint64_t
roll(uint64_t below)
{
	rnd ^= rnd << 13;
	rnd ^= rnd >> 7;
	rnd ^= rnd << 17;
	return below ? (rnd >> 8) % below : 0;
}

/* In memory of exactly its size, so that a sanitizer sees every step beyond it. */
static void
run(const uint8_t *p, size_t n)
{
	uint8_t *copy = room(n);
	FILE *f;

	if (n)
		memcpy(copy, p, n);
	if (keep) {
		if (!(f = fopen(keep, "wb")) || fwrite(copy, 1, n, f) != n || fclose(f) != 0)
			die(keep);
	}
	alarm(SLOW);
	(void)LLVMFuzzerTestOneInput(copy, n);
	alarm(0);
	free(copy);
}

static void
add_file(const char *path)
{
	struct input in = { room(INPUT_MAX), 0 };
	FILE *f = fopen(path, "rb");

	if (!f)
		die(path);
	in.n = fread(in.p, 1, INPUT_MAX, f);
	fclose(f);
	corpus = realloc(corpus, (ncorpus + 1) * sizeof(*corpus));
	if (!corpus)
		die("realloc");
	in.p = realloc(in.p, in.n ? in.n : 1);
	corpus[ncorpus++] = in;
}

static void
add_path(const char *path)
{
	struct dirent **names;
	struct stat st;
	char sub[4096];
	int n;

	if (stat(path, &st) < 0)
		die(path);
	if (!S_ISDIR(st.st_mode)) {
		add_file(path);
		return;
	}
	n = scandir(path, &names, NULL, alphasort); /* sorted: the seed means the same everywhere */
	if (n < 0)
		die(path);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			snprintf(sub, sizeof(sub), "%s/%s", path, names[i]->d_name);
			add_path(sub);
		}
		free(names[i]);
	}
	free(names);
}

/* One random change in place; the buffer has room for INPUT_MAX. */
static void
change(struct input *in)
{
	static const char *const bits[] = { "\r\n", "\r\n\r\n", "\n", "\"", "(", ")", "<", ">", "@",
		",", ";", ":", "\\", "=?", "?=", "--", "%", "*0*=", "\xff", "\xc3\xa4", "=", "{9}",
		"99999999999999999999", "-1", "\0" };
	const struct input *other = &corpus[roll(ncorpus)];
	size_t at = roll(in->n + 1), len = roll(in->n - at + 1), from, n;
	const char *bit = bits[roll(sizeof(bits) / sizeof(bits[0]))];

	switch (roll(7)) {
	case 0: /* flip a bit */
		if (at < in->n)
			in->p[at] ^= (uint8_t)(1u << roll(8));
		break;
	case 1: /* any byte */
		if (at < in->n)
			in->p[at] = (uint8_t)roll(256);
		break;
	case 2: /* cut a piece out */
		len = len > 16 && roll(4) ? roll(16) : len;
		memmove(in->p + at, in->p + at + len, in->n - at - len);
		in->n -= len;
		break;
	case 3: /* cut the end off */ in->n = at; break;
	case 4: /* double a piece */
		len = len > 64 && roll(4) ? roll(64) : len;
		if (in->n + len > INPUT_MAX)
			break;
		memmove(in->p + at + len, in->p + at, in->n - at);
		in->n += len;
		break;
	case 5: /* a piece of another file */
		from = roll(other->n + 1);
		n = roll(other->n - from + 1);
		if (in->n + n > INPUT_MAX)
			break;
		memmove(in->p + at + n, in->p + at, in->n - at);
		memcpy(in->p + at, other->p + from, n);
		in->n += n;
		break;
	default: /* something that means something */
		n = *bit ? strlen(bit) : 1;
		if (in->n + n > INPUT_MAX)
			break;
		memmove(in->p + at + n, in->p + at, in->n - at);
		memcpy(in->p + at, bit, n);
		in->n += n;
		break;
	}
}

int
main(int argc, char **argv)
{
	unsigned long rounds = 0;
	struct input in;
	int c;

	while ((c = getopt(argc, argv, "n:s:o:")) != -1) {
		switch (c) {
		case 'n': rounds = strtoul(optarg, NULL, 10); break;
		case 's': rnd ^= strtoull(optarg, NULL, 10) * 0x9e3779b97f4a7c15u; break;
		case 'o': keep = optarg; break;
		default:
			fprintf(stderr, "usage: %s [-n N] [-s SEED] [-o FILE] FILE ...\n", argv[0]);
			return 2;
		}
	}
	rnd |= 1;
	for (int i = optind; i < argc; i++)
		add_path(argv[i]);
	run((const uint8_t *)"", 0);
	for (size_t i = 0; i < ncorpus; i++)
		run(corpus[i].p, corpus[i].n);
	printf("ok 1 - %zu files\n", ncorpus);
	if (rounds > 0 && ncorpus > 0) {
		in.p = room(INPUT_MAX);
		for (unsigned long k = 0; k < rounds; k++) {
			const struct input *from = &corpus[roll(ncorpus)];

			memcpy(in.p, from->p, from->n);
			in.n = from->n;
			for (uint64_t j = roll(6) + 1; j > 0; j--)
				change(&in);
			run(in.p, in.n);
		}
		free(in.p);
		printf("ok 2 - %lu changed inputs\n", rounds);
	}
	printf("1..%d\n", rounds > 0 && ncorpus > 0 ? 2 : 1);
	for (size_t i = 0; i < ncorpus; i++)
		free(corpus[i].p);
	free(corpus);
	return 0;
}
