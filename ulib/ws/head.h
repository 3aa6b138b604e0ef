/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * head.h - the head of an HTTP/1 request or response, parsed as it comes (RFC
 * 9112).
 *
 * Fed with pieces of any size, it keeps only what it understood: names in
 * small letters and values without the blanks around them, each with a 0
 * behind it. There is no limit on the number of fields but the one on bytes.
 */
#ifndef PULSE__WS_HEAD_H
#define PULSE__WS_HEAD_H

#include "base/base.h"

struct pulse__ws_head {
	char *text;		/* method, target, then name and value in turn */
	uint32_t used;
	uint32_t room;
	uint32_t max;		/* of bytes fed */
	uint32_t fed;
	uint32_t mark;		/* where the part under way began */
	uint32_t fields;	/* where the fields begin */
	uint8_t state;
	uint8_t minor;		/* HTTP/1.minor */
	uint16_t status;	/* of a response */
	bool response;
	bool done;
	char *reply;		/* http.c: lines that the answer has besides */
	uint32_t reply_len;
	uint32_t body_len;	/* body.c: so far */
	uint32_t body_left;	/* to come */
	uint32_t body_room;
	char *body;
};

/* One field; begin with all 0. */
struct pulse__ws_field {
	const char *name;
	const char *value;
	const char *next;
};

void pulse__ws_head_init(struct pulse__ws_head *head, uint32_t max_bytes);
/* The same for a response: no method, no target, but a status. */
void pulse__ws_head_init_response(struct pulse__ws_head *head,
				  uint32_t max_bytes);
/* May these be a field's name, a field's value? */
bool pulse__ws_head_name_ok(const char *name);
bool pulse__ws_head_value_ok(const char *value);
/* Leaves it as init does. */
void pulse__ws_head_free(struct pulse__ws_head *head);

/*
 * Takes the next bytes; done is set with the last one of the head. How many
 * were taken; -EPROTO no such head; -E2BIG over the limit; -ENOMEM.
 */
int64_t pulse__ws_head_feed(struct pulse__ws_head *head, const uint8_t *data,
			    size_t bytes);

/* The rest is for a head that is done. */

const char *pulse__ws_head_method(const struct pulse__ws_head *head);
const char *pulse__ws_head_target(const struct pulse__ws_head *head);
/* The next field, or false. */
bool pulse__ws_head_next(const struct pulse__ws_head *head,
			 struct pulse__ws_field *field);
/* The @n-th value of a name, which is given in small letters; NULL. */
const char *pulse__ws_head_get(const struct pulse__ws_head *head,
			       const char *name, unsigned int n);
/* Does a comma-separated list, in however many fields, hold the token? */
bool pulse__ws_head_lists(const struct pulse__ws_head *head, const char *name,
			  const char *token);
/* Where in such lists one is; begin with all 0. */
struct pulse__ws_list {
	struct pulse__ws_field field;
	const char *at;
};

/*
 * The next element that is not empty, its length in @len; NULL: no more. It
 * is not followed by a 0.
 */
const char *pulse__ws_head_list_next(const struct pulse__ws_head *head,
				     const char *name,
				     struct pulse__ws_list *list, size_t *len);

#endif /* PULSE__WS_HEAD_H */
