// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * defer.c - opening handshakes that are decided later, by any thread.
 *
 * conn->verdict says how it stands: 0 nobody has put it off; UNDECIDED; the
 * decision that was taken and is on its way to the loop, in the inbox; a negative
 * errno: it is over, and why. Only the loop begins and ends, anybody decides: who
 * changes UNDECIDED has won. The loop may take what a decision says before that
 * has come by itself; its memory is the inbox's all the same.
 */
#include "ws/ws_int.h"

#include <pulse-u/ws_defer.h>

#define UNDECIDED	1UL
#define ERRNO_MAX	4095UL
#define NAME_ROOM	260	/* a name that is too long is too long in it, too */
#define REASON_MAX	(64U << 10)

struct decision {
	struct pulse__ws_item item;
	int status;			/* 0: accepted */
	uint16_t subprotocol;		/* index + 1 */
	bool subprotocol_set;
	void *user;			/* NULL: as it is */
	size_t fields_len;		/* of text; the reason follows */
	size_t reason_len;
	char text[];
};

static bool is_over(uintptr_t verdict)
{
	return verdict >= -ERRNO_MAX;
}

static struct decision *decision_of(uintptr_t verdict)
{
	return verdict > UNDECIDED && !is_over(verdict) ?
	       (struct decision *)verdict : NULL;
}

/* ---- the loop -------------------------------------------------------------- */

int pulse_ws_defer(struct pulse_ws_conn *conn)
{
	if (!conn || conn->client || !pulse__ws_on_loop(pulse__ws_loop_of(conn)) ||
	    pulse__ws_state(conn) != PULSE__WS_HEAD || conn->doomed ||
	    conn->in_http || !conn->head || !conn->head->done)
		return -EINVAL;
	if (READ_ONCE(conn->verdict))
		return -EALREADY;
	__atomic_store_n(&conn->verdict, UNDECIDED, __ATOMIC_RELAXED);
	return 0;
}

bool pulse__ws_is_deferred(const struct pulse_ws_conn *conn)
{
	uintptr_t verdict = conn->client ? 0 : READ_ONCE(conn->verdict);

	return verdict && !is_over(verdict);
}

static void apply(struct pulse_ws_conn *conn, const struct decision *d)
{
	if (d->user)
		WRITE_ONCE(conn->user, d->user);
	if (d->subprotocol_set)
		conn->subprotocol = d->subprotocol;
}

static void tell(struct pulse_ws_conn *conn, int err, int status)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;

	if (cfg->h.on_fail)
		cfg->h.on_fail(conn, err, status, cfg->arg);
}

void pulse__ws_defer_over(struct pulse_ws_conn *conn, int err, int status)
{
	const struct decision *d;
	uintptr_t verdict;

	if (!pulse__ws_is_deferred(conn))
		return;
	/* acquire: what a decision says, pairs with decide() */
	verdict = __atomic_exchange_n(&conn->verdict, (uintptr_t)err,
				      __ATOMIC_ACQUIRE);
	d = decision_of(verdict);
	if (d && d->status)
		return;		/* the program wanted nothing else */
	if (d)
		apply(conn, d);
	tell(conn, err, status);
}

static int add_fields(struct pulse_ws_conn *conn, const struct decision *d)
{
	char *to;

	if (!d->fields_len)
		return 0;
	to = pulse__ws_reply_grow(conn->head, d->fields_len);
	if (!to)
		return -ENOMEM;
	memcpy(to, d->text, d->fields_len);
	return 0;
}

static void carry_out(struct pulse_ws_conn *conn, const struct decision *d)
{
	int err = add_fields(conn, d);

	WRITE_ONCE(conn->verdict, (uintptr_t)-EALREADY);
	conn->stop &= (uint8_t)~PULSE__WS_STOP_VERDICT;
	if (d->status) {
		if (err)
			pulse__ws_doom(conn, conn->end);
		else if (d->reason_len)
			pulse__ws_refuse_with(conn, d->status,
					      d->text + d->fields_len,
					      d->reason_len);
		else
			pulse__ws_refuse(conn, d->status);
		return;
	}
	apply(conn, d);
	if (!err)
		err = pulse__ws_upgrade_go(conn);
	if (err) {
		pulse__ws_doom(conn, conn->end);
		tell(conn, err, 0);
	}
}

static void run_decision(struct pulse__ws_item *item, bool drop)
{
	struct decision *d = container_of(item, struct decision, item);
	struct pulse_ws_conn *conn = item->conn;

	if (!drop && READ_ONCE(conn->verdict) == (uintptr_t)d) {
		if (conn->doomed)
			pulse__ws_defer_over(conn, -ECONNRESET, 0);
		else
			carry_out(conn, d);
	}
	pulse__free(d);
}

/* ---- any thread ------------------------------------------------------------ */

/* "Name: value", as it may be said; its length in the answer, or -EINVAL. */
static int64_t field_len(const char *field, const char **value)
{
	size_t len = strcspn(field, ":");
	char name[NAME_ROOM];

	if (!field[len]) {
		pulse_log(PULSE_LOG_WARN,
			  "ws: header field refused: it is to be \"Name: value\"");
		return -EINVAL;
	}
	*value = field + len + 1;
	*value += strspn(*value, " \t");
	if (len > sizeof(name) - 1)
		len = sizeof(name) - 1;
	memcpy(name, field, len);
	name[len] = 0;
	if (!pulse__ws_field_ok(name, *value))
		return -EINVAL;
	return (int64_t)(len + strlen(*value) + 4);	/* ": ", CR, LF */
}

static int64_t fields_len(const char *const *fields)
{
	int64_t sum = 0;

	for (; fields && *fields; fields++) {
		const char *value;
		int64_t len = field_len(*fields, &value);

		if (len < 0)
			return len;
		sum += len;
		if (sum > PULSE__WS_REPLY_MAX)
			return -EMSGSIZE;
	}
	return sum;
}

static char *put(char *to, const char *from, size_t len)
{
	memcpy(to, from, len);
	return to + len;
}

static int decision_new(int status, const char *const *fields,
			const char *reason, struct decision **out)
{
	size_t reason_len = reason ? strlen(reason) : 0;
	int64_t len = fields_len(fields);
	struct decision *d;
	const char *value;
	char *to;

	if (len < 0)
		return (int)len;
	if (reason_len > REASON_MAX)
		return -EMSGSIZE;
	d = pulse__malloc(sizeof(*d) + (size_t)len + reason_len);
	if (!d)
		return -ENOMEM;
	*d = (struct decision){
		.item = { .run = run_decision,
			  .cost = sizeof(*d) + (size_t)len + reason_len },
		.status = status,
		.fields_len = (size_t)len,
		.reason_len = reason_len,
	};
	to = d->text;
	for (; fields && *fields; fields++) {
		field_len(*fields, &value);
		to = put(to, *fields, strcspn(*fields, ":"));
		to = put(to, ": ", 2);
		to = put(to, value, strlen(value));
		to = put(to, "\r\n", 2);
	}
	if (reason_len)
		put(to, reason, reason_len);
	*out = d;
	return 0;
}

/* Takes @d, and says what comes of it. */
static int decide(struct pulse_ws_conn *conn, struct decision *d)
{
	uintptr_t is = UNDECIDED;

	/* release: what @d says, pairs with pulse__ws_defer_over() */
	if (!pulse__cas(&conn->verdict, &is, (uintptr_t)d, __ATOMIC_RELEASE,
			__ATOMIC_RELAXED)) {
		pulse__free(d);
		if (!is)
			return -EINVAL;
		return is_over(is) ? (int)(intptr_t)is : -EALREADY;
	}
	/* Of a loop that has ended since on_fail was told. */
	(void)pulse__ws_inbox_put(conn, &d->item);
	return 0;
}

int pulse_ws_accept(struct pulse_ws_conn *conn,
		    const struct pulse_ws_accept_opts *opts)
{
	struct pulse_ws_accept_opts o;
	struct decision *d;
	unsigned int n = 0;
	int err;

	if (!conn || conn->client)
		return -EINVAL;
	err = pulse__opts_load(&o, sizeof(o), pulse__size_to(typeof(o), user),
			       opts);
	if (err)
		return err;
	if (o.subprotocol && *o.subprotocol) {
		n = pulse__ws_subprotocol(pulse__ws_loop_of(conn)->cfg,
					  o.subprotocol, strlen(o.subprotocol));
		if (!n) {
			pulse_log(PULSE_LOG_WARN,
				  "ws: subprotocol \"%s\" is none of the server's",
				  o.subprotocol);
			return -EINVAL;
		}
	}
	err = decision_new(0, o.fields, NULL, &d);
	if (err)
		return err;
	d->subprotocol = (uint16_t)n;
	d->subprotocol_set = o.subprotocol;
	d->user = o.user;
	return decide(conn, d);
}

int pulse_ws_refuse(struct pulse_ws_conn *conn, int status, const char *reason,
		    const char *const *fields)
{
	struct decision *d;
	int err;

	if (!conn || conn->client || status < 300 || status > 599)
		return -EINVAL;
	err = decision_new(status, fields, reason, &d);
	return err ? err : decide(conn, d);
}
