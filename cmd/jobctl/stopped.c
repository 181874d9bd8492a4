/* stopped.c: which channels an operator has stopped, or started against channels.conf, across restarts.
 *
 * One small file in the queue, written anew at each `stop` and `start`: a line for each channel of which
 * something was said.  Called at the start and by verbs.c.  When it is there and cannot be read jobctl does not
 * start: a channel that was stopped would run.  When it cannot be written that is logged, and the
 * channel is stopped all the same, until the next start of jobctl. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/files.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobctl.h"

#define STATE_MAX 65536

static const char *const words[] = { [CHAN_STOP] = "stop", [CHAN_START] = "start" };

static int
stopped_write(const char *path, const struct buf *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640), e;

	if (fd < 0)
		return -errno;
	e = files_write(fd, text->p, text->n);
	if (e == 0 && fdatasync(fd) < 0)
		e = -errno;
	(void)close(fd);
	return e;
}

static void
stopped_save(void)
{
	char *path = mem_printf("%s/jobctl.state", queue_path(jobctl.queue));
	char *tmp = mem_printf("%s.new", path);
	struct sched_channel *sc;
	struct buf text = { 0 };
	size_t at = 0;
	int e;

	while ((sc = sched_channel_next(jobctl.sched, &at)))
		if (chan_of(sc)->word != CHAN_SILENT)
			buf_printf(&text, "%s %s\n", words[chan_of(sc)->word], sc->name);
	e = stopped_write(tmp, &text);
	if (e == 0 && rename(tmp, path) < 0)
		e = -errno;
	if (e < 0)
		log_event(LOG_ERROR, "channel_state", "path=%s error=%s", log_str(path),
		    log_str(strerror(-e)));
	buf_fini(&text);
	mem_free(&tmp);
	mem_free(&path);
}

void
stopped_set(struct sched_channel *sc, bool stopped)
{
	sc->stopped = stopped;
	chan_of(sc)->word = stopped ? CHAN_STOP : CHAN_START;
	stopped_save();
}

static void
stopped_take(struct slice line)
{
	struct slice word = S("");
	struct sched_channel *sc;

	if (!slice_word(&line, &word) || !(sc = sched_channel_find(jobctl.sched, slice_trim(line))))
		return; /* there is no such channel any more */
	for (int i = CHAN_STOP; i <= CHAN_START; i++)
		if (slice_eq(word, slice_str(words[i]))) {
			chan_of(sc)->word = (enum chan_word)i;
			sc->stopped = i == CHAN_STOP;
		}
}

int
stopped_load(void)
{
	char *path = mem_printf("%s/jobctl.state", queue_path(jobctl.queue));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buf text = { 0 };
	struct slice rest, line;
	ssize_t n = fd < 0 ? -1 : read(fd, buf_reserve(&text, STATE_MAX), STATE_MAX);
	int e = n < 0 ? -errno : 0;

	if (fd >= 0)
		(void)close(fd);
	if (e == -ENOENT && fd < 0)
		e = 0; /* nobody has said anything */
	else if (e < 0)
		log_event(LOG_ERROR, "channel_state", "path=%s error=%s", log_str(path),
		    log_str(strerror(-e)));
	mem_free(&path);
	rest = slice(text.p, n > 0 ? (size_t)n : 0);
	while (rest.n && slice_cut(&rest, '\n', &line))
		stopped_take(line);
	buf_fini(&text);
	return e;
}
