/* mta/conversions.h: the file `conversions`: which parts of messages are converted, and by what; tiermail-conversions(5).
 *
 * A file of entries goes in, a list that never changes comes out.  Which messages go through the channel conversion
 * at all is the table CONVERSIONS's to say, or a channel's key (mta/detour.h).  Pure. */
#ifndef MTA_CONVERSIONS_H
#define MTA_CONVERSIONS_H
#include "mta/text.h"

#define MTA_CONVERSION_PARAMETERS                                                                  \
	8 /* of Content-Type or Content-Disposition that an entry asks for */

struct mta_conversion_pair {
	struct slice name, value; /* patterns; name empty: there is none */
};
/* Texts are empty where the entry is silent; of those that are matched, that is anything. */
struct mta_conversion {
	struct slice in_channel, out_channel, in_type, in_subtype, in_description, in_disposition,
	    in_subject;
	struct mta_conversion_pair in_parameter[MTA_CONVERSION_PARAMETERS],
	    in_dparameter[MTA_CONVERSION_PARAMETERS];
	struct slice command; /* a program of piped's list; empty: none is run */
	struct slice out_type, out_subtype, out_description, out_disposition, out_name;
	bool delete, relabel;
	const char *file;
	int line;
};

/* A part, as its header has it. */
struct mta_conversion_part {
	struct slice source, channel; /* where the message comes from and goes to */
	struct slice type, subtype, description, disposition, subject;
	void *arg;
	/* The value of a parameter of Content-Type, or of Content-Disposition; empty: absent. */
	struct slice (*parameter)(void *arg, bool disposition, struct slice name);
};

struct mta_conversions;
/* NULL when there are mistakes (in *notes); warnings alone do not hinder. */
struct mta_conversions *mta_conversions_compile(const char *path, mta_read_fn *read, void *arg,
    struct mta_notes *notes) MUSTCHECK;
void mta_conversions_free(struct mta_conversions **c);
/* Entry i, in order; NULL beyond the last. */
const struct mta_conversion *mta_conversion_at(const struct mta_conversions *c, size_t i);
/* The first that is for this part, or NULL. */
const struct mta_conversion *
mta_conversion_find(const struct mta_conversions *c, const struct mta_conversion_part *p);
#endif
