/* Fuzz target: mbox files of any bytes: messages lie in the file one behind the other; what is packed comes
 * back; names of a Maildir are read within their bytes. */
#include "base/must.h"
#include "mail/mbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
fuzz_back(struct slice text)
{
	struct buf msg = { 0 }, again = { 0 }, words = { 0 }, file = { 0 };
	struct mbox_reader r;
	struct mbox_message m;
	uint16_t flags, had;

	mbox_unpack(text, &msg, &flags, &words);
	if (msg.n == 0 || msg.p[msg.n - 1] != '\n')
		buf_lit(&msg, "\r\n");
	mbox_pack(&file, buf_get(&msg), 1, flags, buf_get(&words));
	r = (struct mbox_reader){ buf_get(&file), 1 };
	must(mbox_next(&r, &m) && !m.headless && m.at == 1);
	buf_clear(&words);
	mbox_unpack(m.text, &again, &had, &words);
	/* A first line that goes on is one of the fields in front of it then. */
	must(had == flags || msg.p[0] == ' ' || msg.p[0] == '\t');
	buf_fini(&msg);
	buf_fini(&again);
	buf_fini(&words);
	buf_fini(&file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice file = slice((const char *)data, n), base, name;
	struct mbox_reader r = { file, 1 };
	const char *end = file.p;
	struct mbox_message m;
	struct maildir_name mn;
	unsigned number;
	uint32_t uid;

	while (mbox_next(&r, &m)) {
		must(m.text.p >= end && m.text.p + m.text.n <= file.p + file.n);
		must(r.rest.n == 0 || r.rest.p >= m.text.p + m.text.n);
		end = m.text.p + m.text.n;
		fuzz_back(m.text);
	}
	maildir_name_parse(file, &mn);
	must(mn.base.n <= file.n);
	must(!maildir_uid_parse(file, &uid, &base) || (uid && base.n));
	must(!maildir_keyword_parse(file, &number, &name) || (number < MAILDIR_KEYWORDS && name.n));
	return 0;
}
