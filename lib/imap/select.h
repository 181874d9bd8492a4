/* imap/select.h: the arguments of SELECT and EXAMINE: RFC 3501 6.3.1, RFC 4466 2.1, RFC 7162 3.1.8,
 * 3.2.5.  Pure. */
#ifndef IMAP_SELECT_H
#define IMAP_SELECT_H
#include "imap/args.h"

struct imap_select {
	struct slice mailbox;
	bool bad_name; /* no modified UTF-7: NO, not BAD */
	bool condstore, qresync;
	/* QRESYNC: what the client knows */
	uint32_t uidvalidity;
	uint64_t modseq;
	bool some;             /* `known` was given; else all UIDs are */
	struct imap_set known; /* ascending, without "*" */
	struct imap_set seqs;  /* some of its sequence numbers ... */
	struct imap_set uids;  /* ... and their UIDs: as many, ascending, without "*" */
};
/* In front of the first SP, to the end. */
bool imap_select_parse(struct imap_in *in, struct imap_select *s);
#endif
