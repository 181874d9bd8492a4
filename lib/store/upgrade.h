/* store/upgrade.h: an index of format 1 is made again in the format of today.
 *
 * The old index is only read and is kept beside the new one (index.v1), so that whatever stops the
 * upgrade, the next call begins anew or goes on, and that there is a way back.  stored must not be
 * at work in the partition; its lock is taken.  Message files and the operation log stay. */
#ifndef STORE_UPGRADE_H
#define STORE_UPGRADE_H
#include "store/format.h"

struct store_upgrade {
	const char *path;      /* of the partition */
	const char *snapshots; /* the directory of its snapshots: the new index gets one */
	uint64_t map_size;
	/* The day of a message's Date field, from its cache record, as store_record.sentday. */
	uint16_t (*sentday)(struct slice cache);
	void (*tell)(void *arg, const char *line);
	void *arg;
	/* What was done. */
	uint64_t accounts, mailboxes, messages;
	bool nothing; /* it had our format already */
};
/* 0, or -errno with *why (heap): the old index is where it was. */
int store_upgrade(struct store_upgrade *u, char **why) MUSTCHECK;
#endif
