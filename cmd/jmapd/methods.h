/* jmapd/methods.h: the methods of small files that need no header of their own, for methods.c. */
#ifndef JMAPD_METHODS_H
#define JMAPD_METHODS_H
#include "call.h"

extern const struct jmapd_method settings_get, settings_set; /* settings.c */
/* blob-methods.c */
extern const struct jmapd_method blob_upload, blob_get, blob_lookup, blob_copy, email_copy;
#endif
