/* jmapd/quota.h: quotas of mail (RFC 9425): octets and messages, of the whole account. */
#ifndef JMAPD_QUOTA_H
#define JMAPD_QUOTA_H
#include "call.h"

extern const struct jmapd_method quota_get, quota_changes, quota_query, quota_query_changes;
#endif
