/* Rows of annotations, bytes <-> structs: tiermail-store(5).
 *
 * Pure; called by the writer, by readers and by check.  The login stands before the entry in the key, so
 * that what one person sees of a mailbox are two runs of rows, however many others have theirs: a guest
 * cannot make an owner's GETMETADATA dear.  A row that is damaged is -EBADMSG, and nobody's value. */
#include "store/annot.h"

#include <errno.h>

#include "base/crc.h"

bool
store_annot_name_ok(struct slice name)
{
	if (name.n < 2 || name.n > STORE_ANNOT_NAME_MAX || name.p[0] != '/' ||
	    name.p[name.n - 1] == '/')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c <= 0x20 || c >= 0x7f || c == '*' || c == '%' || (c >= 'A' && c <= 'Z') ||
		    (c == '/' && i > 0 && name.p[i - 1] == '/'))
			return false;
	}
	return true;
}

size_t
store_annot_key(uint8_t key[STORE_ANNOT_KEY], uint64_t account, uint64_t mailbox,
    struct slice login, struct slice name)
{
	size_t n = 16;

	store_be64(key, account);
	store_be64(key + 8, mailbox);
	login = slice_sub(login, 0, STORE_ACCOUNT_MAX);
	name = slice_sub(name, 0, STORE_ANNOT_NAME_MAX);
	if (login.n)
		memcpy(key + n, login.p, login.n);
	n += login.n;
	key[n++] = '\0';
	if (name.n)
		memcpy(key + n, name.p, name.n);
	return n + name.n;
}

int
store_annot_head(struct slice key, struct slice value, struct store_annot *a)
{
	struct store_disk_annot d;

	*a = (struct store_annot){ 0 };
	if (key.n < 18 || key.n > STORE_ANNOT_KEY)
		return -EBADMSG;
	a->name = slice_from(key, 16);
	if (!slice_cut(&a->name, '\0', &a->login) || a->login.n > STORE_ACCOUNT_MAX ||
	    !store_annot_name_ok(a->name))
		return -EBADMSG;
	a->account = store_get64(key.p);
	a->mailbox = store_get64(key.p + 8);
	if (value.n < sizeof(d))
		return -EBADMSG;
	memcpy(&d, value.p, sizeof(d));
	if (d.version != STORE_VERSION || d.head < sizeof(d) || d.head > value.n)
		return -EBADMSG;
	a->modseq = d.modseq;
	a->gone = d.gone;
	a->guest = d.head > sizeof(d) && value.p[sizeof(d)] & STORE_ANNOT_BY_GUEST;
	return 0;
}

int
store_annot_parse(struct slice key, struct slice value, struct store_annot *a)
{
	struct store_disk_annot d;
	uint32_t crc;

	if (store_annot_head(key, value, a) < 0)
		return -EBADMSG;
	memcpy(&d, value.p, sizeof(d));
	crc = d.crc;
	d.crc = 0;
	if (crc32c(crc32c(0, &d, sizeof(d)), value.p + sizeof(d), value.n - sizeof(d)) != crc)
		return -EBADMSG;
	a->value = slice_from(value, d.head);
	return 0;
}

void
store_annot_write(struct buf *b, const struct store_annot *a)
{
	struct store_disk_annot d = { .version = STORE_VERSION,
		.gone = a->gone,
		.head = sizeof(d),
		.modseq = a->modseq };
	struct slice value = a->gone ? slice(NULL, 0) : a->value;
	const uint8_t flags = STORE_ANNOT_BY_GUEST;

	d.head = (uint16_t)(d.head + (a->guest ? sizeof(flags) : 0));
	d.crc = crc32c(0, &d, sizeof(d));
	d.crc = crc32c(d.crc, &flags, d.head - sizeof(d));
	d.crc = crc32c(d.crc, value.p, value.n);
	buf_add(b, &d, sizeof(d));
	buf_add(b, &flags, d.head - sizeof(d));
	buf_slice(b, value);
}
