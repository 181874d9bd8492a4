/* t/backup/stream.c: frames there and back; a stream cut or changed at each octet is good up to there. */
#include "backup/stream.h"
#include "base/mem.h"
#include "../tap.h"

static struct buf stream;
static uint64_t ends[4]; /* of the frames */

static void
make(void)
{
	static const char *const texts[] = { "version=1", "", "some octets\n\0of a message" };
	struct backup_writer w = { 0 };

	for (size_t i = 0; i < 3; i++) {
		backup_write(&w, &stream, "BAO"[i],
		    slice(texts[i], i == 2 ? 24 : strlen(texts[i])));
		ends[i + 1] = stream.n;
	}
}

/* How many frames can be read, and where it ends; *bad: with a mistake. */
static size_t
read_all(struct slice in, uint64_t *at, bool *bad)
{
	struct backup_reader r = { 0 };
	struct backup_frame f;
	const char *why;
	size_t frames = 0;
	int n;

	while ((n = backup_read(&r, slice_from(in, (size_t)r.at), &f, &why)) > 0)
		frames++;
	*at = r.at;
	*bad = n < 0;
	return frames;
}

static size_t
frames_before(uint64_t at)
{
	size_t n = 0;

	while (n < 3 && ends[n + 1] <= at)
		n++;
	return n;
}

int
main(void)
{
	size_t wrong = 0;
	uint64_t at;
	bool bad;

	make();
	ok(read_all(buf_get(&stream), &at, &bad) == 3 && at == stream.n && !bad, "three frames");
	for (size_t n = 0; n < stream.n; n++) {
		size_t frames = read_all(slice_sub(buf_get(&stream), 0, n), &at, &bad);

		wrong += frames != frames_before(n) || at != ends[frames] || bad;
	}
	eq(wrong, 0, "cut at each octet: all frames before it, and more is asked for");
	for (size_t n = 0; n < stream.n; n++)
		for (int bit = 0; bit < 8; bit++) {
			size_t frames;

			stream.p[n] ^= (char)(1 << bit);
			frames = read_all(buf_get(&stream), &at, &bad);
			stream.p[n] ^= (char)(1 << bit);
			wrong += frames != frames_before(n) || at != ends[frames];
		}
	eq(wrong, 0, "with each bit changed: all frames before it, and none with it");
	buf_cut(&stream, ends[1]);
	ok(read_all(buf_get(&stream), &at, &bad) == 0 && bad,
	    "a stream whose beginning is missing");
	buf_fini(&stream);
	return done();
}
