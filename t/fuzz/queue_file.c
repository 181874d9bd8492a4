/* Fuzz: queue files.  The input is read as it is, and once more with its checksums put right, so
 * that the records behind them are reached: up to an END line it is a header's records, what
 * follows is the journal.  A header that reads must be written and read back the same. */
#include "base/crc.h"
#include "base/must.h"
#include "queue/queue-impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define ID "1qx0abcdefghi00"

static bool
same(const char *a, const char *b)
{
	return (!a) == (!b) && (!a || strcmp(a, b) == 0);
}

static void
round_trip(struct qenv *e, struct arena *a)
{
	uint32_t *pick = arena_array(a, e->nrcpt, sizeof(*pick));
	struct buf b = { 0 };
	struct qenv back;
	const char *why = "";

	for (uint32_t i = 0; i < e->nrcpt; i++)
		pick[i] = i;
	qenv_write(&b, e, ID, pick, e->nrcpt);
	must(qenv_parse(buf_get(&b), b.n, ID, a, &back, &why) == QBAD_NONE);
	must(back.nrcpt == e->nrcpt && same(back.sender, e->sender) && same(back.envid, e->envid) &&
	    same(back.auth, e->auth) && same(back.dest, e->dest) &&
	    back.arrival_ms == e->arrival_ms);
	for (size_t i = 0; i < e->nrcpt; i++)
		must(same(back.rcpts[i].addr, e->rcpts[i].addr) &&
		    same(back.rcpts[i].orcpt, e->rcpts[i].orcpt) &&
		    back.rcpts[i].notify == e->rcpts[i].notify);
	buf_fini(&b);
}

/* Every line of the journal gets its checksum. */
static void
sealed_journal(struct slice text, struct arena *a, struct qenv *e)
{
	struct buf b = { 0 };
	struct slice line;

	while (slice_cut(&text, '\n', &line)) {
		uint32_t crc = crc32c(crc32c(0, ID, QUEUE_FILE_ID_LEN), line.p, line.n);

		buf_slice(&b, line);
		buf_printf(&b, " crc=%08x\n", crc);
	}
	must(qjournal_parse(buf_get(&b), ID, a, e) <= b.n);
	for (size_t i = 0; i < e->nrcpt; i++)
		e->rcpts[i].changed = true;
	buf_clear(&b);
	qjournal_rcpts(&b, ID, e);
	must(qjournal_parse(buf_get(&b), ID, a, e) == b.n);
	buf_fini(&b);
}

static void
sealed(struct slice s, struct arena *a)
{
	size_t end = slice_find_str(s, S("\nEND\n")), at = end < s.n ? end + 5 : s.n;
	struct buf head = { 0 };
	const char *why = "";
	struct qenv e;

	memset(buf_reserve(&head, QENV_FIRST), ' ', QENV_FIRST);
	head.n = QENV_FIRST;
	buf_add(&head, s.p, at);
	if (at > 0) {
		qenv_seal(head.p, head.n, 0, 0);
		if (qenv_parse(buf_get(&head), head.n, "", a, &e, &why) == QBAD_NONE) {
			round_trip(&e, a);
			sealed_journal(slice_from(s, at), a, &e);
		}
	}
	buf_fini(&head);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice s = slice((const char *)data, n);
	char id[QUEUE_FILE_ID_LEN + 1], name[QUEUE_NAME_LEN + 4];
	struct arena a = { 0 };
	const char *why = "";
	uint32_t attempts;
	struct qenv e;
	bool held;

	if (qenv_parse(s, n, ID, &a, &e, &why) == QBAD_NONE)
		(void)qjournal_parse(slice_from(s, e.header_len), ID, &a, &e);
	(void)qenv_header_len(s);
	sealed(s, &a);
	if (queue_name_parse(s, id, &attempts, &held))
		must(slice_eq(slice_str(queue_name(name, id, attempts, held)), s));
	arena_reset(&a);
	return 0;
}
