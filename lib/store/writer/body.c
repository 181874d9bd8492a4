/* Bodies: the unnamed files that messages come in.
 *
 * Called by the writer's thread (writer_body_new by any).  Everything can fail as disks do: -errno.  The
 * log says of each body what its bytes must be (replay.c holds that against the files of the last frame),
 * and takes the checksum from who has handed the body over: lmtpd and imapd make it of the very bytes
 * that they write, and a file that a power cut has torn never has it, whoever computed it.  Were theirs
 * wrong, the last batch before a power cut would be taken for one that never was; so it is looked
 * after here now and then. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/log.h"
#include "store/writer/writer-impl.h"

#define BODY_READ   (4 * 1024 * 1024) /* a larger message is not read */
#define BODY_SAMPLE 64                /* one of so many is read for all that */

int
writer_body_new(const struct part_files *f)
{
	int fd = openat(f->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);

	return fd < 0 ? -errno : fd;
}

int
writer_clone_body(struct part_files *f, int fd)
{
	int to = writer_body_new(f);
	off_t at = 0;
	struct stat st;

	if (to < 0)
		return to;
	if (fstat(fd, &st) < 0)
		goto fail;
	while (at < st.st_size) {
		char bytes[65536];
		ssize_t n = pread(fd, bytes, sizeof(bytes), at);

		if (n <= 0 || pwrite(to, bytes, (size_t)n, at) != n) {
			errno = n == 0 ? EIO : errno ? errno : EIO;
			goto fail;
		}
		at += n;
	}
	return to;
fail:
	at = -errno;
	close(to);
	return (int)at;
}

/* What the log says of a body: what its bytes must be, should the power be cut before they are on disk.
 * Who hands a body over has made the checksum of its bytes as they went into the file, and it is taken
 * from the request: see writer_body_fd.  Else the file is read; or, when it is large, synced
 * beforehand. */
int
writer_body_look(struct part_files *f, int fd)
{
	struct oplog_file file = { .checked = 1 };
	char bytes[32768];
	struct stat st;
	ssize_t n;

	if (fd + 1 == f->seen_of)
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	file.size = (uint32_t)st.st_size;
	f->seen_date = st.st_mtime;
	if (st.st_size > BODY_READ) {
		file.checked = 0;
		if (f->sync && fdatasync(fd) < 0)
			return -errno;
	}
	for (off_t at = 0; file.checked && at < st.st_size; at += n) {
		n = pread(fd, bytes, sizeof(bytes), at);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		file.crc = crc32c(file.crc, bytes, (size_t)n);
	}
	f->seen_of = fd + 1;
	f->seen = file;
	return 0;
}

/* The checksum that came with a body.  One of some dozens is made again, and all from the first on that
 * was wrong: who sends such is found before the power is cut, when it would cost others' mail. */
static int
body_trust(struct part_files *f, const struct store_job *j, const struct store_message *m, int fd,
    int64_t date)
{
	int rc;

	if (!m->digest)
		return 0;
	f->seen_of = 0;
	if (!f->doubt && f->nbodies++ % BODY_SAMPLE) {
		f->seen_of = fd + 1;
		f->seen = (struct oplog_file){ .size = m->size, .crc = m->digest, .checked = 1 };
		f->seen_date = date;
		return 0;
	}
	rc = writer_body_look(f, fd);
	if (rc < 0 || !f->seen.checked || f->seen.crc == m->digest)
		return rc;
	f->doubt = true;
	log_event(LOG_ERROR, "store_body", "sid=%s actor=%s error=%s", log_value(j->req.trace),
	    log_value(j->req.actor), log_str("its checksum is another's"));
	return -EBADMSG;
}

int
writer_body_fd(struct part_files *f, struct store_job *j, size_t i)
{
	const struct store_message *m = &j->req.messages[i];
	int64_t date = m->internaldate || m->dated ? m->internaldate : f->now;
	struct stat st;
	int rc;

	if (!j->fds || j->fds[i] < 0)
		return -EBADF;
	if (fstat(j->fds[i], &st) < 0)
		return -errno;
	if (st.st_size != m->size)
		return -EBADMSG;
	if (j->foreign) {
		int copy = writer_clone_body(f, j->fds[i]);

		if (copy < 0)
			return copy;
		close(j->fds[i]);
		j->fds[i] = copy;
		st.st_mtime = f->now;
	}
	/* The file carries the internal date: reconstruct has nothing else. */
	if (llabs((long long)(date - st.st_mtime)) > 2) {
		const struct timespec times[2] = { { date, 0 }, { date, 0 } };

		(void)futimens(j->fds[i], times);
	}
	rc = body_trust(f, j, m, j->fds[i], date);
	return rc < 0 ? rc : j->fds[i];
}
