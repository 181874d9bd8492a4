/* jmapd/submission.h: EmailSubmissions (RFC 8621 7): messages of a user that are sent, at once or later.
 *
 * One that goes at once is over when the relay has the message or has refused it, and is not kept, as 7 allows ("the
 * server MAY destroy EmailSubmission objects at any time"); one that is sent later is: submission-kept.h. */
#ifndef JMAPD_SUBMISSION_H
#define JMAPD_SUBMISSION_H
#include "identity.h"

extern const struct jmapd_method submission_set, submission_get, submission_changes,
    submission_query, submission_query_changes;
#endif
