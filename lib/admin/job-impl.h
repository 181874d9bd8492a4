/* admin/job-impl.h: what the files of jobs share.  Not for anybody else.
 *
 *	job-make   a call becomes an entry, and rows of a file become items of its parts
 *	job        the verbs of people: list, show, report, pause, resume, cancel, delete
 *	job-run    one that waits is taken, done and ended
 *	job-person whose it is, and whether that person may have it done
 *	job-note   what is written while it is done: how far it is, and a report */
#ifndef ADMIN_JOB_IMPL_H
#define ADMIN_JOB_IMPL_H
#include "admin/admin-impl.h"
#include "admin/bulk.h"

#define JOB_ITEMS  100          /* of a part, at most */
#define JOB_OCTETS (128 * 1024) /* of a part's items, about */

/* What a job can be, and what it is over. */
enum job_place { JOB_ORG, JOB_ABOVE_ORG, JOB_BASE, JOB_IMPORT };
struct job_kind {
	const char *object, *verb; /* verb "": import */
	enum job_place place;
	bool gone; /* what it is about is not there any more when it is done */
};
const struct job_kind *admin_job_kind(struct slice object, struct slice verb);
const char *admin_job_base(struct admin *a); /* ou=Jobs,... */
/* A job by its id. */
bool admin_job_find(struct admin *a, struct slice id, const struct dir_entry **e);
/* now + ms, as the directory writes times */
char *admin_job_time(struct arena *m, int64_t ms);

/* job-person.c: is it a person's, for whom we may act? */
bool admin_job_is_persons(const struct dir_entry *job);
/* Is it the person who has asked, and one who may log in?  As `own` sees it.  NULL, or what is wrong; empty: nobody
 * knows, and own->problem says why. */
const char *admin_job_person(struct admin *own, const struct dir_entry *job);

/* A list of texts that can be written as values. */
struct job_values {
	struct slice *v;
	size_t n, room, octets;
};
void admin_job_value(struct admin *a, struct job_values *list, const struct buf *text);
/* A new part of these attributes. */
bool admin_job_part(struct admin *a, const char *job, unsigned number, const struct dir_entry *over,
    const struct job_values *items, const struct job_values *report);

/* ---- job-note.c: of who does a job; a call has it in `journal`. */
enum job_stop { JOB_GO, JOB_PAUSE, JOB_CANCEL, JOB_LEAVE, JOB_LOST, JOB_OVER };
struct admin_journal {
	struct admin *a;   /* as the person */
	struct admin *own; /* who looks whether that person may */
	const struct dir_entry *job;
	const char *holder;
	const bool *leave; /* or NULL: we are to end */
	unsigned parts;    /* that there are */
	uint64_t done, total, told_ms;
	enum job_stop stop;
	const char *why; /* of JOB_OVER, or of JOB_CANCEL when nobody has wished it; else NULL */
	struct admin_problem problem; /* why nothing could be written */
	bool again;                   /* somebody had begun it */
	struct buf report;            /* JSON texts, a line each */
	size_t lines;
};
/* Takes a line of the report: written with the next note. */
void admin_journal_line(struct admin_journal *j, unsigned line, struct slice name,
    const char *result, struct slice text);
/* Appends such a line. */
void admin_journal_write(struct buf *out, uint64_t n, unsigned line, struct slice name,
    const char *result, struct slice text);
bool admin_journal_due(const struct admin_journal *j); /* is it time for a note? */
/* Writes how far it is and holds it longer; false: it is to stop, for `stop`. */
bool admin_journal_note(struct admin_journal *j);
/* The last one: it is in this state now. */
bool admin_journal_end(struct admin_journal *j, const char *state, const char *text);
void admin_journal_fini(struct admin_journal *j);
/* job-item.c: the items of its parts, one by one. */
bool admin_job_items(struct admin_journal *j, const struct admin_call *call, bool update,
    size_t *failed);
#endif
