/* pab/vcard-line.h: a line of a vCard; for vcard-read.c alone. */
#ifndef PAB_VCARD_LINE_H
#define PAB_VCARD_LINE_H
#include "base/buf.h"

#define VCARD_PARAMS_MAX 16

/* Zeroed: none yet. */
struct vcard_line {
	struct buf whole, decoded; /* unfolded; of quoted-printable */
	struct buf text;           /* a value without its escapes */
	struct slice name, value;
	struct {
		struct slice name, value;
	} param[VCARD_PARAMS_MAX]; /* those beyond are passed over */
	size_t nparams;
};
void pab_vcard_line_fini(struct vcard_line *l);

/* The next one, off the front of the file (RFC 6350 3.2); false at its end. */
bool pab_vcard_line_unfold(struct vcard_line *l, struct slice *file);
/* Its name, without a group, and the rest (3.3); false: it is no property. */
bool pab_vcard_line_property(struct vcard_line *l);
/* The value without its encoding; base64 stays. */
void pab_vcard_line_decode(struct vcard_line *l);
/* A parameter's value, empty: it has none; is this word among those of TYPE?  Case is ignored. */
struct slice pab_vcard_param(const struct vcard_line *l, struct slice name);
bool pab_vcard_has_type(const struct vcard_line *l, struct slice type);
/* The next part of a value, to a separator that is not escaped; false behind the last. */
bool pab_vcard_part_take(struct slice *s, char by, struct slice *part);
/* Without escapes (3.4) and the blanks around it; valid until the next. */
struct slice pab_vcard_plain(struct vcard_line *l, struct slice s);
#endif
