/* Fuzz target: backup streams of any bytes: what is read is within, and is what would be written. */
#include "backup/stream.h"
#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Frames of the input's own, so that what is good is met too; and one octet of them changed. */
static void
fuzz_changed(struct slice in)
{
	struct backup_reader r = { 0 };
	struct backup_writer w = { 0 };
	struct backup_frame f;
	struct buf out = { 0 };
	const char *why;
	size_t flip, at = 0, frames = 0, third = in.n / 3;
	int n;

	backup_write(&w, &out, 'B', slice_sub(in, 0, third));
	backup_write(&w, &out, 'O', slice_sub(in, third, third));
	backup_write(&w, &out, 'e', slice_from(in, 2 * third));
	flip = in.n ? (size_t)(uint8_t)in.p[0] * 257 % out.n : 0;
	out.p[flip] ^= 16;
	while ((n = backup_read(&r, slice_from(buf_get(&out), at), &f, &why)) > 0) {
		at += (size_t)n;
		must(at <= flip); /* no frame with the changed octet */
		frames++;
	}
	must(frames < 3 && r.at == at);
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice((const char *)data, n), rest = in;
	struct backup_reader r = { 0 };
	struct backup_writer w = { 0 };
	struct backup_frame f;
	struct buf again = { 0 };
	const char *why;
	int used;

	while ((used = backup_read(&r, rest, &f, &why)) > 0) {
		must((size_t)used <= rest.n && f.text.n <= BACKUP_PIECE);
		must(f.text.p >= rest.p && f.text.p + f.text.n <= rest.p + used);
		backup_write(&w, &again, f.kind, f.text);
		rest = slice_from(rest, (size_t)used);
		must(r.at == in.n - rest.n && f.at + (size_t)used == r.at);
	}
	must((used == 0) == !why);
	/* The last field of a head may have had anything in it only if the checksum says so. */
	must(again.n == r.at);
	fuzz_changed(in);
	buf_fini(&again);
	return 0;
}
