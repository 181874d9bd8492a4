/* Links in flight: the files that the running batch gives names to.
 *
 * Owns the file `inflight`, small and mapped: it is written before each link, without a sync, because
 * it is for the death of the process.  At the next start the files of a batch that never was are
 * removed: those that are named here, and no other, for what else has no message may be mail that a
 * lost index has forgotten and reconstruct brings back.  So it is believed only under the kernel that it
 * was written under, and over an index that ends right before that batch; else, and where it had no
 * room, the files stay, storectl check tells of them, and they are set aside when their UID is given
 * out.  Only opening it can fail. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "store/writer/writer-impl.h"

#define INFLIGHT_SIZE  (1024 * 1024)
#define INFLIGHT_MAGIC 0x4c464e49u /* "INFL" */

struct inflight_head {
	uint32_t magic;
	uint32_t used; /* bytes of `entries` */
	uint32_t more; /* some mailboxes did not fit */
	uint32_t zero;
	uint64_t batch;   /* number of the running batch */
	uint8_t boot[16]; /* id of the kernel; 0 = not known */
};
struct inflight {
	struct inflight_head head;
	char entries[INFLIGHT_SIZE - sizeof(struct inflight_head)];
};
/* An entry: this and its directory. */
struct inflight_entry {
	uint64_t mailbox;
	uint32_t first, last; /* UIDs */
	uint16_t dir_len;
} PACKED;

/* ---- while a batch runs ------------------------------------------------------------------------ */

int
writer_inflight_open(struct part_files *f)
{
	int fd = openat(f->dirfd, "inflight", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	void *map = MAP_FAILED;
	int rc;

	if (fd < 0)
		return -errno;
	rc = -posix_fallocate(fd, 0, INFLIGHT_SIZE);
	if (rc == 0) {
		map = mmap(NULL, INFLIGHT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		rc = map == MAP_FAILED ? -errno : 0;
	}
	close(fd);
	if (rc == 0)
		f->inflight = map;
	/* An older one's, which did not say which files. */
	(void)!unlinkat(f->dirfd, "note", 0);
	return rc;
}

void
writer_inflight_close(struct part_files *f)
{
	if (f->inflight)
		munmap(f->inflight, INFLIGHT_SIZE);
	f->inflight = NULL;
}

static void
inflight_extend(struct inflight *n, size_t at, uint32_t uid)
{
	struct inflight_entry e;

	memcpy(&e, n->entries + at, sizeof(e));
	e.first = uid < e.first ? uid : e.first;
	e.last = uid > e.last ? uid : e.last;
	memcpy(n->entries + at, &e, sizeof(e));
}

void
writer_inflight_add(struct part_files *f, struct wbox *b, uint32_t uid)
{
	struct inflight *n = f->inflight;
	struct inflight_entry e = { b->id, uid, uid, (uint16_t)strlen(b->dir) };

	if (!n) /* the linker's rows are committed: it needs none */
		return;
	if (b->inflight_batch == f->batch) {
		if (b->inflight_at != UINT32_MAX)
			inflight_extend(n, b->inflight_at, uid);
		return;
	}
	b->inflight_batch = f->batch;
	b->inflight_at = UINT32_MAX;
	if (n->head.used + sizeof(e) + e.dir_len > sizeof(n->entries)) {
		n->head.more = 1;
		return;
	}
	b->inflight_at = n->head.used;
	memcpy(n->entries + n->head.used, &e, sizeof(e));
	memcpy(n->entries + n->head.used + sizeof(e), b->dir, e.dir_len);
	n->head.batch = f->number;
	/* The length last: a torn entry is not there. */
	__atomic_store_n(&n->head.used, n->head.used + sizeof(e) + e.dir_len, __ATOMIC_RELEASE);
}

void
writer_inflight_clear(struct part_files *f)
{
	if (f->inflight->head.used)
		__atomic_store_n(&f->inflight->head.used, 0, __ATOMIC_RELEASE);
	f->inflight->head.more = 0;
}

/* ---- at start ---------------------------------------------------------------------------------- */

/* Removes the named files that no message has. */
static void
inflight_mend_box(struct writer *w, const struct inflight_entry *e, const char *dir)
{
	struct wbox *b = NULL;
	bool known = writer_box_find(w, e->mailbox, &b) == 0;
	uint32_t first = known && b->d.uidnext > e->first ? b->d.uidnext : e->first;
	struct buf path = { 0 };
	unsigned n = 0;

	for (uint64_t uid = first; uid <= e->last; uid++) {
		buf_clear(&path);
		buf_str(&path, known ? b->dir : dir);
		store_message_name(&path, (uint32_t)uid);
		n += unlinkat(w->files->dirfd, buf_cstr(&path), 0) == 0;
	}
	buf_fini(&path);
	if (n)
		log_event(LOG_INFO, "store_mend", "mailbox=%llx dir=%s files=%u",
		    (unsigned long long)e->mailbox, log_str(dir), n);
}

/* Was it written by the batch that would have been the next one? */
static bool
inflight_is_ours(const struct inflight_head *h, const uint8_t boot[16], uint64_t batch)
{
	static const uint8_t none[16];

	return h->magic == INFLIGHT_MAGIC && h->batch == batch + 1 &&
	    memcmp(h->boot, boot, sizeof(h->boot)) == 0 && memcmp(boot, none, sizeof(none)) != 0;
}

void
writer_inflight_mend(struct writer *w, struct part_files *f)
{
	struct inflight *n = f->inflight;
	size_t used = n->head.used < sizeof(n->entries) ? n->head.used : 0, at = 0;
	struct inflight_entry e;
	uint8_t boot[16];

	if (store_steady_boot(boot) < 0)
		memset(boot, 0, sizeof(boot));
	if (!inflight_is_ours(&n->head, boot, w->found_batch))
		used = 0;
	for (; at + sizeof(e) <= used; at += sizeof(e) + e.dir_len) {
		char *dir;

		memcpy(&e, n->entries + at, sizeof(e));
		if (at + sizeof(e) + e.dir_len > used)
			break;
		dir = mem_strn(n->entries + at + sizeof(e), e.dir_len);
		inflight_mend_box(w, &e, dir);
		mem_free(&dir);
	}
	if (used && n->head.more)
		log_event(LOG_WARN, "store_mend", "more=1");
	writer_inflight_clear(f);
	n->head.magic = INFLIGHT_MAGIC;
	memcpy(n->head.boot, boot, sizeof(boot));
}
