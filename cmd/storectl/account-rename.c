/* storectl account rename: a person has another login, and keeps the mailbox.
 *
 * What he has in mailboxes of others passes on to the new name when stored has renamed the account (account-leave.c).  A
 * run that was cut off behind the renaming goes on when it is asked for again. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "account.h"
#include "base/mem.h"
#include "store/acl.h"
#include "store/config.h"

/* The person may have logged in under the new name already: an account that has no message stands in nobody's
 * way.  stored looks itself whether it has one. */
static int
rename_make_room(struct asking *ask, const char *to)
{
	int rc;
	uint64_t id = account_id(to, false, &rc);

	if (!id)
		return rc;
	store_erase_start(ask->client, id, slice_str(to), true, &ask->op, asking_done, ask);
	if (asking_try(ask)) {
		account_forget(to);
		return 0;
	}
	fprintf(stderr, "storectl: %s: %s\n", to, ask->reply.verdict.text);
	return ask->reply.code == STORE_CANNOT ? EX_CANTCREAT : asking_code(ask);
}

int
account_rename(struct account_run *run)
{
	struct asking ask;
	uint64_t id;
	int rc;

	if (store_account_check(slice_str(run->to)) < 0) {
		fprintf(stderr, "storectl: %s: not the name of an account\n", run->to);
		return EX_USAGE;
	}
	if (!storectl_account_is(run->account) && storectl_account_is(run->to)) {
		asking_open(&ask); /* it has been: what may be left */
		rc = account_leave(&ask, &run->account, 1, run->to);
		asking_close(&ask);
		return rc;
	}
	if (!(id = account_id(run->account, true, &rc)))
		return rc;
	asking_open(&ask);
	rc = rename_make_room(&ask, run->to);
	if (rc == 0) {
		store_rename_account_start(ask.client, id, slice_str(run->account),
		    slice_str(run->to), &ask.op, asking_done, &ask);
		if (asking_try(&ask)) {
			account_forget(run->account);
			account_done(run, "renamed", run->account, run->to, &ask.reply);
			rc = account_leave(&ask, &run->account, 1, run->to);
		} else {
			fprintf(stderr, "storectl: %s: %s\n", run->account, ask.reply.verdict.text);
			rc = ask.reply.code == STORE_EXISTS ? EX_CANTCREAT : asking_code(&ask);
		}
	}
	asking_close(&ask);
	return rc;
}
