/* name.c: file names, and the words of the envelope's enums.
 *
 * A name is two countdown characters, the file's id and ".00" or ".HELD".  Sun counts down in
 * base 36 from ZZ: ZZ none, ZY one failed attempt, ... ZA 25, Z0 35, YZ 36. */
#include <stdio.h>
#include "base/must.h"
#include "queue/queue-impl.h"

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

static int
base36(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'Z')
		return c - 'A' + 10;
	return -1;
}

char *
queue_name(char dst[QUEUE_NAME_LEN + 4], const char *id, uint32_t attempts, bool held)
{
	uint32_t left = QUEUE_ATTEMPTS - (attempts > QUEUE_ATTEMPTS ? QUEUE_ATTEMPTS : attempts);

	dst[0] = digits[left / 36];
	dst[1] = digits[left % 36];
	memcpy(dst + 2, id, QUEUE_FILE_ID_LEN);
	memcpy(dst + 2 + QUEUE_FILE_ID_LEN, held ? ".HELD" : ".00", held ? 6 : 4);
	return dst;
}

bool
queue_name_parse(struct slice name, char id[QUEUE_FILE_ID_LEN + 1], uint32_t *attempts, bool *held)
{
	struct slice end = slice_from(name, 2 + QUEUE_FILE_ID_LEN);
	int high, low;

	if (name.n < 2 + QUEUE_FILE_ID_LEN || (high = base36(name.p[0])) < 0 ||
	    (low = base36(name.p[1])) < 0)
		return false;
	if (slice_eq(end, S(".00")))
		*held = false;
	else if (slice_eq(end, S(".HELD")))
		*held = true;
	else
		return false;
	for (size_t i = 2; i < 2 + QUEUE_FILE_ID_LEN; i++) {
		char c = name.p[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z'))
			return false;
	}
	memcpy(id, name.p + 2, QUEUE_FILE_ID_LEN);
	id[QUEUE_FILE_ID_LEN] = '\0';
	*attempts = QUEUE_ATTEMPTS - (uint32_t)(high * 36 + low);
	return true;
}

/* An id that follows from a text, the same whoever asks. */
void
queue_id_of(char id[QUEUE_ID_LEN + 1], const char *text)
{
	uint64_t v = 14695981039346656037u; /* FNV-1a: spread is all that is asked for */

	for (const char *c = text; *c; c++)
		v = (v ^ (unsigned char)*c) * 1099511628211u;
	for (size_t i = 0; i < QUEUE_ID_LEN; i++, v /= 36)
		id[i] = ascii_lower(digits[v % 36]);
	id[QUEUE_ID_LEN] = '\0';
}

/* Copy numbers 00 01 .. zz, then the same with another message id: a name must be unique, what belongs
 * together stands inside.  Whoever looks for the files of a message can count on. */
void
queue_copy_id(char id[QUEUE_FILE_ID_LEN + 1], const char *before, size_t n)
{
	char next[QUEUE_ID_LEN + 1], text[32];

	(void)snprintf(next, sizeof(next), "%.*s", QUEUE_ID_LEN, before);
	if (n && n % COPIES_MAX == 0) {
		(void)snprintf(text, sizeof(text), "%s further", next);
		queue_id_of(next, text);
	}
	memcpy(id, next, QUEUE_ID_LEN);
	id[QUEUE_ID_LEN] = ascii_lower(digits[n % COPIES_MAX / 36]);
	id[QUEUE_ID_LEN + 1] = ascii_lower(digits[n % 36]);
	id[QUEUE_FILE_ID_LEN] = '\0';
}

static const char *const prio_words[] = { "urgent", "normal", "nonurgent" };
static const char *const state_words[] = { "pending", "delivered", "failed", "discarded" };

const char *
qprio_word(enum qprio p)
{
	must((size_t)p < NELEM(prio_words));
	return prio_words[p];
}

int
qprio_parse(struct slice s)
{
	for (size_t i = 0; i < NELEM(prio_words); i++)
		if (slice_eq(s, slice_str(prio_words[i])))
			return (int)i;
	return -1;
}

const char *
qstate_word(enum qstate s)
{
	must((size_t)s < NELEM(state_words));
	return state_words[s];
}

size_t
qenv_pending(const struct qenv *env)
{
	size_t n = 0;

	for (size_t i = 0; i < env->nrcpt; i++)
		n += env->rcpts[i].state == QSTATE_PENDING;
	return n;
}
