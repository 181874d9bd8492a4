/* space.c: is there room in the queue for another message?
 *
 * And memory, of which a host that runs out of it takes from whoever it likes: mail from elsewhere is put off first.
 * Asked at MAIL, before anything is written: a file system that is full fails in the middle of messages, of
 * masters' journals and of reports.  Mail from elsewhere, which comes again by itself, is put off first.
 * A file system below a gigabyte keeps an eighth of itself free, not more: else it might never take anything.
 * The kernel's answer is believed for a second, while there is room by it.  What cannot be told is no reason to refuse. */
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "conf/shared.h"
#include "relay.h"

#define ASK_EVERY_MS 1000
#define SAY_EVERY_MS 60000
#define SMALL        ((uint64_t)1 << 30)

/* Is it mail from elsewhere?  What relay.networks and stores of ours send on has been taken in once. */
static bool
space_elsewhere(const struct session *s)
{
	return s->role == ROLE_MX && !s->trusted;
}

/* What is free, now or a second ago, and in *share what a file system of this size keeps at most. */
static uint64_t
space_free(uint64_t *share, bool anew)
{
	static uint64_t bytes, whole, asked_ms;
	uint64_t now = clock_mono_ms();
	struct statvfs st;

	if (anew || asked_ms == 0 || now - asked_ms >= ASK_EVERY_MS) {
		asked_ms = now ? now : 1;
		bytes = UINT64_MAX;
		if (statvfs(shared.queue, &st) == 0) {
			bytes = (uint64_t)st.f_bavail * (uint64_t)st.f_frsize;
			whole = (uint64_t)st.f_blocks * (uint64_t)st.f_frsize;
			metric_set(M_QUEUE_FREE, (int64_t)(bytes < INT64_MAX ? bytes : INT64_MAX));
		}
	}
	*share = whole < SMALL ? whole / 8 : UINT64_MAX;
	return bytes;
}

static bool
space_is_left(const struct session *s, uint64_t size, bool anew)
{
	static uint64_t said_ms;
	uint64_t now = clock_mono_ms(), least = (uint64_t)config.min_free, share = 0;
	uint64_t is = space_free(&share, anew);

	if (least > share)
		least = share;
	if (space_elsewhere(s))
		least *= 2;
	if (is >= least && is - least >= size)
		return true;
	if (anew && (said_ms == 0 || now - said_ms >= SAY_EVERY_MS)) {
		said_ms = now ? now : 1;
		log_event(LOG_ERROR, "queue_space", "path=%s free=%llu least=%llu",
		    log_str(shared.queue), (unsigned long long)is, (unsigned long long)least);
	}
	return false;
}

/* ---- memory ------------------------------------------------------------------------------ */

/* MemAvailable of proc(5), octets; UINT64_MAX when it cannot be told. */
static uint64_t
memory_available(void)
{
	int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	char text[4096];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	struct slice rest = slice(text, n < 0 ? 0 : (size_t)n), line, word;
	uint64_t kb;

	if (fd >= 0)
		(void)close(fd);
	while (slice_cut(&rest, '\n', &line))
		if (slice_word(&line, &word) && slice_eq(word, S("MemAvailable:")) &&
		    slice_word(&line, &word) && slice_u64(word, UINT64_MAX / 1024, &kb) == 0)
			return kb * 1024;
	return UINT64_MAX;
}

bool
space_memory(const struct session *s)
{
	static uint64_t bytes = UINT64_MAX, asked_ms, said_ms;
	uint64_t now = clock_mono_ms(), least = (uint64_t)config.min_memory;

	if (!least || !space_elsewhere(s))
		return true;
	if (asked_ms == 0 || now - asked_ms >= ASK_EVERY_MS) {
		asked_ms = now ? now : 1;
		bytes = memory_available();
	}
	if (bytes >= least)
		return true;
	if (said_ms == 0 || now - said_ms >= SAY_EVERY_MS) {
		said_ms = now ? now : 1;
		log_event(LOG_ERROR, "memory_short", "free=%llu least=%llu",
		    (unsigned long long)bytes, (unsigned long long)least);
	}
	return false;
}

bool
space_left(const struct session *s, uint64_t size)
{
	return config.min_free == 0 || space_is_left(s, size, false) ||
	    space_is_left(s, size, true);
}
