/* jmapd/submission.h: EmailSubmissions (RFC 8621 7): messages of a user that are sent.
 *
 * A submission is over when the relay has the message or has refused it: none is kept, so /get finds none and
 * /query nothing, as 7 allows ("the server MAY destroy EmailSubmission objects at any time"). */
#ifndef JMAPD_SUBMISSION_H
#define JMAPD_SUBMISSION_H
#include "identity.h"

extern const struct jmapd_method submission_set, submission_get, submission_changes,
    submission_query, submission_query_changes;
#endif
