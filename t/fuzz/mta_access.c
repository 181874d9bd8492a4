/* Fuzz: answers of access tables, and the probes that ask them.  The first line is the table, the second the flags, the
 * third the text of the answer; each further one a field of the probe.  What an answer says lies within its text and
 * within its bounds, a refusal is one line and never a success, and no field makes another one up. */
#include "base/must.h"
#include "mta/access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
answer(struct slice table, struct slice flags, struct slice text)
{
	const struct verdict dflt = verdict(PERM, 550, "5.7.1", "the tables refuse it");
	struct mta_mapped m = { .text = { .p = NULL } };
	int64_t limits[3] = { -1, -1, -1 };
	struct mta_access a;
	struct slice value;
	struct verdict v;
	const char *name;
	bool once;

	for (size_t i = 0; i < flags.n; i++)
		mta_flags_add(&m.flags, flags.p[i]);
	buf_slice(&m.text, text);
	mta_access_decode(table, &m, &a);
	must(mta_access_name(a.action));
	for (size_t i = 0; mta_access_argument(&a, i, &name, &value); i++)
		must(!value.p || (value.p >= m.text.p && value.p + value.n <= m.text.p + m.text.n));
	must(mta_access_delay(&a, &once) <= MTA_ACCESS_DELAY_MAX);
	must(mta_access_backoff(&a) <= 7 * 86400);
	mta_access_limits(&a, limits);
	for (size_t i = 0; i < NELEM(limits); i++)
		must(limits[i] >= -1 && limits[i] <= INT32_MAX);
	v = mta_access_verdict(&a, &dflt);
	must(v.kind != OK && verdict_reply(&v) / 100 == (v.kind == PERM ? 5 : 4));
	for (const char *c = v.text; *c; c++)
		must((unsigned char)*c >= ' ' && *c != 0x7f);
	buf_fini(&m.text);
}

static void
probes(struct slice fields[static 8])
{
	static const size_t bars[] = { [MTA_ACCESS_FROM] = 9,
		[MTA_ACCESS_ORIG_SEND] = 3,
		[MTA_ACCESS_SEND] = 3,
		[MTA_ACCESS_ORIG_MAIL] = 10,
		[MTA_ACCESS_MAIL] = 10,
		[MTA_ACCESS_AUTH] = 3,
		[MTA_ACCESS_DEQUEUE] = 7 };
	struct mta_access_probe p = { .port = S("TCP|::1|25|2001:db8::7|4711"),
		.source = S("tcp_local"),
		.dest = S("tcp_lmtp"),
		.helo = fields[0],
		.from = fields[1],
		.to = fields[2],
		.auth = fields[3],
		.header_sender = fields[4],
		.header_from = fields[5],
		.file = fields[6],
		.parameter = fields[6],
		.priority = fields[7],
		.domain = fields[7] };
	struct buf b = { 0 };

	for (int tcp = 1; tcp >= 0; tcp--, p.port = S(""))
		for (int t = 0; t < MTA_ACCESS_TABLES; t++) {
			size_t n = 0;

			buf_clear(&b);
			mta_access_probe_write(&b, (enum mta_access_table)t, &p);
			for (size_t i = 0; i < b.n; i++)
				n += b.p[i] == '|';
			must(n == bars[t]);
		}
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice rest = slice((const char *)data, n), lines[11] = { { "", 0 } };

	for (size_t i = 0; i < NELEM(lines); i++)
		if (!slice_cut(&rest, '\n', &lines[i]))
			lines[i] = S("");
	answer(lines[0], lines[1], lines[2]);
	probes(lines + 3);
	return 0;
}
