/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * ws_defer.h - opening handshakes that are decided later, by any thread.
 *
 *	static int on_request(conn, request, answer, arg)
 *	{
 *		struct ticket *t = ticket_new(pulse_ws_request_header(request,
 *							"cookie", 0));
 *
 *		if (!t || pulse_ws_defer(conn))
 *			return 500;
 *		t->conn = pulse_ws_get(conn);
 *		ask_the_database(t);
 *		return 0;
 *	}
 *
 *	static void database_says(struct ticket *t, bool yes)
 *	{
 *		PULSE_OPTS(pulse_ws_accept_opts, o, .user = t->member);
 *
 *		if (yes)
 *			pulse_ws_accept(t->conn, &o);
 *		else
 *			pulse_ws_refuse(t->conn, 403, "no member", NULL);
 *		pulse_ws_put(t->conn);
 *	}
 *
 * What was put off ends in exactly one of these: on_open; a refusal that was taken;
 * on_fail. The last one tells of a peer that has left (-ECONNRESET), of the
 * handshake's time, handshake_timeout_ms from the connection's beginning on
 * (-ETIMEDOUT; the peer gets 503), of the server's end (-ESHUTDOWN; 503 where it
 * drains), of no memory (-ENOMEM), and of an on_request, or middleware around it,
 * that has refused after all (-ECONNREFUSED, with the status).
 *
 * Until then it counts as a connection, and no handler is called for it. Of what
 * the peer sends ahead of the answer one read is kept; then nothing more is read,
 * so that an end in order behind it is not seen before the decision or the end of
 * the time. The request itself lasts until on_request returns, as ever: copy what
 * the decision needs of it.
 */
#ifndef PULSE_U_WS_DEFER_H
#define PULSE_U_WS_DEFER_H

#include <pulse-u/ws.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * pulse_ws_defer() - decide an opening handshake later; in on_request
 * @conn: as on_request was given it, or a route, or middleware
 *
 * Call it before another thread is told of the connection, for which a reference
 * is taken, pulse_ws_get(). on_request is to return 0 then; what it leaves in its
 * answer and the header fields that it has added hold, unless pulse_ws_accept()
 * says otherwise.
 *
 * Return: 0; -EALREADY it was put off before; -EINVAL there is no handshake to be
 * decided, or this is not the thread that asks.
 */
PULSE_API int pulse_ws_defer(struct pulse_ws_conn *conn);

/**
 * struct pulse_ws_accept_opts - how a handshake is accepted
 * @sz: sizeof(struct pulse_ws_accept_opts)
 * @subprotocol: one of the server's list; "": none; NULL: as on_request left it
 * @fields: more header fields of the answer, "Name: value" each, NULL at the end;
 *	as pulse_ws_http_field() takes them, 8 KiB besides those of on_request;
 *	default NULL: none
 * @user: see pulse_ws_conn_user(); default NULL: as on_request left it
 *
 * Nothing of it is needed when the call returns.
 */
struct pulse_ws_accept_opts {
	size_t sz;
	const char *subprotocol;
	const char *const *fields;
	void *user;
};

/**
 * pulse_ws_accept() - open a connection whose handshake was put off
 * @conn: the connection, with a reference of the caller's
 * @opts: or NULL: as on_request left it
 *
 * From any thread, once. Where it is taken on_open follows, or on_fail if it can
 * be opened no more just then; both find @user in the connection. Where it is not
 * taken the connection has nothing of it.
 *
 * Return: 0 taken; -EALREADY it was decided before; -ETIMEDOUT, -ECONNRESET,
 * -ESHUTDOWN, -ECONNREFUSED too late, as on_fail was told; -EINVAL it was never
 * put off, no such subprotocol, or a field that cannot be (the log says why);
 * -EMSGSIZE more than 8 KiB of fields; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_ws_accept(struct pulse_ws_conn *conn,
			      const struct pulse_ws_accept_opts *opts);

/**
 * pulse_ws_refuse() - refuse a connection whose handshake was put off
 * @conn: the connection, with a reference of the caller's
 * @status: an HTTP status from 300 to 599
 * @reason: the answer's body as plain text, up to 64 KiB; NULL: the status's words
 * @fields: more header fields, as in struct pulse_ws_accept_opts; or NULL
 *
 * From any thread, once. Where it is taken no handler is called for the connection
 * any more.
 *
 * Return: as pulse_ws_accept(); -EINVAL also: no such status; -EMSGSIZE also: the
 * reason is too long.
 */
PULSE_API int pulse_ws_refuse(struct pulse_ws_conn *conn, int status,
			      const char *reason, const char *const *fields);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_WS_DEFER_H */
