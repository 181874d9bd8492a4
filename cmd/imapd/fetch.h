/* imapd/fetch.h: FETCH in flight: what fetch.c (the cursor over the index), items.c (the table of
 * items) and body.c (sections) share. */
#ifndef IMAPD_FETCH_H
#define IMAPD_FETCH_H
#include "imap/fetch.h"
#include "imap/write.h"
#include "mail/text.h"
#include "message/fields.h"
#include "message/parse.h"
#include "session.h"

/* Rows of items.c's table that others ask for or about, in the order of the answer. */
enum fetch_item {
	FETCH_UID,
	FETCH_MODSEQ,
	FETCH_EMAILID,
	FETCH_THREADID,
	FETCH_INTERNALDATE,
	FETCH_SAVEDATE,
	FETCH_SIZE,
	FETCH_FLAGS,
	FETCH_ENVELOPE,
	FETCH_BODY,
	FETCH_BODYSTRUCTURE,
	FETCH_PREVIEW,
	FETCH_SECTIONS /* the rows from here are sections */
};

/* What was expunged, for a client that comes back: resync.c.  It goes before the messages. */
struct resync {
	struct imap_set among; /* UIDs that the client asks about, resolved */
	uint64_t since;
	uint32_t there; /* up to this UID the client has none that is gone */
	/* the state of the cursor */
	enum { RESYNC_BEGINS, RESYNC_LOOKS, RESYNC_TELLS, RESYNC_OVER } stage;
	struct store_change_walk walk;
	struct buf gone; /* struct store_range; heap */
	struct store_range *vanished;
	size_t nvanished, told;
};
/* A cursor that writes VANISHED (EARLIER); IMAP_NEXT: all is told. */
enum imap_next resync_more(struct session *s, struct resync *r);
void resync_fini(struct resync *r);
/* Sequence match data (RFC 7162 3.2.5.2): the highest UID that has the sequence number that the client
 * knows, so that none of its messages below is gone; 0: none.  Both sets ascend and have as many
 * numbers.  Costs their ranges and the view's runs. */
uint32_t
resync_there(const struct view *v, const struct imap_set *seqs, const struct imap_set *uids);

struct fetch {
	struct imap_fetch want;
	struct imap_set uids;   /* resolved */
	size_t range;           /* in uids: where the cursor stands */
	uint32_t at;            /* the next UID there */
	uint64_t found;         /* records met */
	uint32_t told;          /* rows written that the metric does not know yet */
	bool plain;             /* fetch_plain */
	bool missing;           /* a message is in the view but no more in the store */
	int error;              /* one could not be read for a reason of ours: -errno */
	bool unknown_cte;       /* a part's encoding cannot be undone */
	struct imap_set marked; /* became \Seen by this command: their FLAGS are told */
	struct sync sync;
	bool unasked;       /* by NOTIFY or UPDATE: there is no tagged answer */
	const char *answer; /* STORE and SELECT show messages this way: their own tagged answer */
	struct resync *resync; /* goes first; may be NULL */
	uint64_t until;        /* changes behind it are left to the news; 0 = none are */
	uint64_t ends_at;      /* of this slice, monotonic us */
	/* sections */
	struct message_fields fields; /* selections of all HEADER.FIELDS */
	bool digest_fields;           /* all sections are such, of the message's own kept fields */
	struct message_picked picked;

	/* The message that is written, outside of any snapshot. */
	bool open;
	uint64_t mailbox;
	struct store_record rec;
	struct message message;
	struct message_parse *parse; /* on the work pool: it has the message then */
	bool items_written;
	size_t section; /* being written */
	enum section_stage {
		SECTION_BEGINS,
		SECTION_SCANS,   /* a header, for its fields */
		SECTION_COUNTS,  /* a part is decoded to know its size, */
		SECTION_DECODES, /* and again to be sent */
		SECTION_SENDS
	} stage;
	bool picks;                    /* it is a selection of fields */
	struct message_extent scanned; /* the header that `picked` stands on; len 0: none */
	struct buf header;             /* its bytes, when it was read from the file */
	uint64_t off, left;            /* bytes of the section still to be sent, */
	uint64_t skip;                 /* and of a selection not to be, before them */
	uint64_t warm_from, warm_to;   /* what the pool has just read, */
	int warm_error;                /* and that it could not: -errno */
	struct binary {
		const struct mime_part *part; /* of the last section; NULL: none yet */
		struct text_reader reader;    /* of the mapped file */
		struct binary_place {
			struct slice rest; /* raw octets from there on */
			struct base64_stream base64;
			uint64_t at;           /* decoded octets before it */
		} counted,                     /* up to there */
		    from,                      /* no later than the section begins, */
		    next;                      /* and what of it is sent next */
		struct buf piece;              /* decoded: */
		const char *piece_of;          /* the raw octets that begin here, */
		struct binary_place piece_end; /* up to there */
		bool nul;                      /* there is one in what was counted */
	} binary;
};

/* Starts the cursor over f->want and f->uids; fetch_init first. */
enum imap_next fetch_start(struct session *s, struct fetch *f);
void fetch_init(struct fetch *f);
/* The same of what NOTIFY and UPDATE want, with which nothing becomes \Seen, and which is not pulled: fetch_step
 * is a step, IMAP_NEXT that all is told; then imap.undo is due. */
void fetch_unasked(struct session *s, struct fetch *f);
enum imap_next fetch_step(struct imap_server *imap);
/* The same for f->want.changedsince: looks only at what may have changed. */
enum imap_next fetch_changed(struct session *s, struct fetch *f);

/* items.c */
extern const struct imap_fetch_item fetch_items[];
extern const size_t fetch_nitems;
/* One message: what the writers of the table read and where they write. */
struct imap_fetch_row {
	struct session *s;
	const struct store_record *rec;
	uint32_t seq;
	const struct message_digest *digest;
	struct slice preview;                /* p NULL: not made, which LAZY allows */
	const struct store_mailbox *mailbox; /* with keywords, if the record has any */
	struct imap_day day, saved;          /* of the last INTERNALDATE, the last SAVEDATE */
	size_t room;                         /* bytes that the items take at most */
	char *at;                            /* in reserved room of the output */
};
/* Writes "* n FETCH (" and the items, each with a blank behind it. */
void fetch_write_items(struct fetch *f, struct imap_fetch_row *row);
/* The blank behind the last item becomes the end. */
void fetch_close_items(struct session *s, uint32_t uid);
/* What stands behind the numbers of a row, by flags and \Recent; zeroed lengths: none is made yet. */
#define FETCH_TAIL_MOST 80
struct fetch_tails {
	uint8_t n[2 * (STORE_FLAGS_ALL + 1)];
	char text[2 * (STORE_FLAGS_ALL + 1)][FETCH_TAIL_MOST];
};
/* Is nothing asked for but what fetch_write_next writes? */
bool fetch_plain(const struct fetch *f);
/* The rows of row->rec[1] and so on, `n` of them at most, up to UID `last`: as many as follow each
 * other without a hole and need nothing else.  `row` has just been written and closed; it stands
 * on the last one then.  Returns how many. */
size_t fetch_write_next(const struct fetch *f, struct imap_fetch_row *row,
    struct fetch_tails *tails, size_t n, uint32_t last);
/* Does the digest have what the items need? */
bool fetch_digest_has(const struct fetch *f, const struct message_digest *d);

/* body.c: opens f->rec's message if it must.  `record` is its digest.  NEXT: go on with body_more;
 * WAIT: something is done on the pool, the cursor goes on by itself; CLOSE: there is nothing to
 * write (f->missing or f->error say why). */
enum imap_next body_open(struct session *s, struct fetch *f, struct slice record);
/* Writes items and sections.  NEXT: the message is complete; FULL, YIELD, WAIT as for cursors;
 * CLOSE: the file broke off within a literal. */
enum imap_next body_more(struct session *s, struct fetch *f);
/* Writes all sections from the digest's header, which has them. */
void body_write_kept(struct session *s, struct fetch *f, struct slice header);
void body_close(struct fetch *f);
/* A section of one message cannot be read: it is left out, and the command will say NO. */
void body_skip_section(struct fetch *f);
/* Cuts to the partial range and announces the literal of `len` octets. */
void body_announce(struct session *s, struct fetch *f, const struct imap_section *sec, uint64_t len,
    bool nul);
void body_nil(struct session *s, struct fetch *f, const struct imap_section *sec);
/* Has it to be read on the pool first?  Then body_warm does that. */
bool body_is_cold(struct fetch *f, uint64_t at, uint64_t len);
enum imap_next body_warm(struct session *s, struct fetch *f, uint64_t at, uint64_t len);

/* binary.c: BINARY[...] and BINARY.SIZE[...]; the message's tree is there. */
bool binary_is(const struct imap_section *sec);
enum imap_next binary_begin(struct session *s, struct fetch *f, const struct imap_section *sec);
/* SECTION_COUNTS and SECTION_DECODES: a piece. */
enum imap_next binary_step(struct session *s, struct fetch *f, const struct imap_section *sec);
void
binary_tell_size(struct session *s, struct fetch *f, const struct imap_section *sec, uint64_t size);
void binary_close(struct fetch *f);
/* Readies f->want's sections: selections, their order. */
void body_sections(struct session *s, struct fetch *f);
#endif
