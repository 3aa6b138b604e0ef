// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * connect.c - connections to other servers: the client's part of the opening
 * handshake (RFC 6455, section 4.1).
 *
 * The caller's thread does what may take long or fail by itself (the name, the
 * request, memory) and posts the rest to a loop, whose the connection is from
 * then on. Until it is open, conn->dial holds what its handshake needs, and why
 * it failed if it did.
 */
#include "ws/key.h"
#include "ws/ws_int.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>

#include "io/stream.h"
#include "io/tls.h"

struct pulse__ws_dial {
	struct pulse_poller_task task;
	struct pulse_ws_conn *conn;
	char address[PULSE_ADDRESS_MAX + 4];
	char host[256];
	char port[8];
	struct pulse_tls *tls;		/* wss: */
	int64_t deadline_ns;
	char key[PULSE__WS_KEY_LEN + 1];
	int err;
	int status;
	size_t len;
	char request[];
};

/* A ws: address, cut into its parts; host without brackets. */
struct url {
	char host[256];
	char port[8];
	const char *path;	/* "/..." or "?..." or "" */
	bool v6;
	bool tls;
};

/* ---- the caller's thread --------------------------------------------------- */

static int split(const char *text, struct url *url)
{
	const char *end;
	size_t len;

	url->tls = !strncmp(text, "wss://", 6);
	if (!url->tls && strncmp(text, "ws://", 5))
		return -EINVAL;
	text += url->tls ? 6 : 5;
	url->v6 = *text == '[';
	end = url->v6 ? strchr(text, ']') : text + strcspn(text, ":/?#");
	if (url->v6)
		text++;
	len = end ? (size_t)(end - text) : 0;
	if (!len || len >= sizeof(url->host))
		return -EINVAL;
	memcpy(url->host, text, len);
	url->host[len] = 0;
	text = end + url->v6;
	strcpy(url->port, url->tls ? "443" : "80");
	if (*text == ':') {
		len = strspn(++text, "0123456789");
		if (!len || len > 5)
			return -EINVAL;
		memcpy(url->port, text, len);
		url->port[len] = 0;
		text += len;
	}
	url->path = text;
	return *text && *text != '/' && *text != '?' ? -EINVAL : 0;
}

/* Nothing that could end a line of the request, or its target. */
static bool clean(const char *text, bool blanks)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f || (!blanks && (c == ' ' || c > 0x7f)) ||
		    (!blanks && c == '#'))
			return false;
	}
	return true;
}

static bool fields_ok(const char *const *fields)
{
	for (; fields && *fields; fields++) {
		size_t name = strcspn(*fields, ":");

		if (!name || !(*fields)[name] || !clean(*fields, true) ||
		    strcspn(*fields, " \t") < name)
			return false;
	}
	return true;
}

/* @flags: of getaddrinfo(). */
static int resolve(struct pulse__ws_dial *dial, int flags)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_NUMERICSERV | flags }, *list;
	struct sockaddr_storage sa = { 0 };
	char *address = dial->address;
	int err = getaddrinfo(dial->host, dial->port, &hints, &list);

	if (err == EAI_MEMORY)
		return -ENOMEM;
	if (err)
		return err == EAI_AGAIN ? -EAGAIN : -ENXIO;
	memcpy(&sa, list->ai_addr, list->ai_addrlen);
	freeaddrinfo(list);
	if (dial->tls) {
		memcpy(address, "tls:", 4);
		address += 4;
	}
	return pulse__addr_format(&sa, address, PULSE_ADDRESS_MAX);
}

/* Prints the request; how long it is, whether or not it fits. */
static size_t print(char *to, size_t room, const struct pulse__ws_cfg *cfg,
		    const struct pulse_ws_connect_opts *o, const struct url *url,
		    const char *key)
{
	bool default_port = !strcmp(url->port, url->tls ? "443" : "80");
	char ext[PULSE__WS_ANSWER_MAX];
	size_t n;

#define ADD(...) (n += (size_t)snprintf(n < room ? to + n : NULL,		\
					n < room ? room - n : 0, __VA_ARGS__))
	n = 0;
	ADD("GET %s%s HTTP/1.1\r\nHost: %s%s%s%s%s\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n",
	    *url->path == '/' ? "" : "/", url->path, url->v6 ? "[" : "",
	    url->host, url->v6 ? "]" : "", default_port ? "" : ":",
	    default_port ? "" : url->port, key);
	if (o->origin)
		ADD("Origin: %s\r\n", o->origin);
	for (unsigned int i = 0; cfg->subprotocols && cfg->subprotocols[i]; i++)
		ADD("%s%s", i ? ", " : "Sec-WebSocket-Protocol: ",
		    cfg->subprotocols[i]);
	if (cfg->subprotocols && cfg->subprotocols[0])
		ADD("\r\n");
	if (cfg->deflate.on) {
		pulse__ws_deflate_ask(&cfg->deflate, ext);
		ADD("Sec-WebSocket-Extensions: %s\r\n", ext);
	}
	for (unsigned int i = 0; o->fields && o->fields[i]; i++)
		ADD("%s\r\n", o->fields[i]);
	ADD("\r\n");
#undef ADD
	return n;
}

static void run_dial(struct pulse_poller *poller, struct pulse_poller_task *task);

static int dial_new(struct pulse_ws_conn *conn,
		    const struct pulse_ws_connect_opts *o)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;
	char key[PULSE__WS_KEY_LEN + 1];
	struct pulse__ws_dial *dial;
	struct url url;
	size_t len;
	int err;

	err = split(o->url, &url);
	if (err)
		return err;
	err = pulse__ws_key_make(key);
	if (err)
		return err;
	len = print(NULL, 0, cfg, o, &url, key);
	dial = pulse__calloc(1, sizeof(*dial) + len + 1);
	if (!dial)
		return -ENOMEM;
	dial->len = print(dial->request, len + 1, cfg, o, &url, key);
	memcpy(dial->key, key, sizeof(key));
	dial->conn = conn;
	dial->deadline_ns = o->deadline_ns;
	dial->err = -ECONNRESET;	/* unless somebody knows better */
	memcpy(dial->host, url.host, sizeof(dial->host));
	memcpy(dial->port, url.port, sizeof(dial->port));
	dial->task.fn = run_dial;
	conn->dial = dial;
	if (!url.tls)
		return 0;
	if (!cfg->tls)
		return pulse_tls_create(NULL, &dial->tls);
	dial->tls = pulse__tls_get(cfg->tls);
	return 0;
}

static void dial_free(struct pulse__ws_dial *dial)
{
	if (dial && dial->tls)
		pulse__tls_put(dial->tls);
	pulse__free(dial);
}

static int check_opts(const struct pulse_ws_connect_opts *o)
{
	return o->url && clean(o->url, false) && o->deadline_ns >= 0 &&
	       (!o->origin || clean(o->origin, true)) &&
	       fields_ok(o->fields) ? 0 : -EINVAL;
}

int pulse__ws_dial_new(struct pulse__ws_loop *loop,
		       const struct pulse_ws_connect_opts *o,
		       struct pulse_ws_conn **out)
{
	struct pulse_ws_conn *conn;
	int err = check_opts(o);

	if (err)
		return err;
	conn = pulse__ws_conn_alloc(loop);
	if (!conn)
		return -ENOMEM;
	conn->client = true;
	conn->user = o->user;
	err = dial_new(conn, o);
	if (err)
		pulse__ws_dial_drop(conn);
	else
		*out = conn;
	return err;
}

void pulse__ws_dial_drop(struct pulse_ws_conn *conn)
{
	dial_free(conn->dial);
	conn->dial = NULL;
	pulse_ws_put(conn);
}

bool pulse__ws_dial_is_numeric(struct pulse_ws_conn *conn)
{
	return !resolve(conn->dial, AI_NUMERICHOST);
}

int pulse__ws_dial_go(struct pulse_ws_conn *conn)
{
	struct pulse_ws_server *server = conn->loop->server;
	int err = resolve(conn->dial, 0);

	if (err)
		return err;
	/* The loop's reference. */
	pulse_ws_get(conn);
	__atomic_fetch_add(&server->live, 1, __ATOMIC_RELAXED);
	if (!pulse_poller_post_task(conn->loop->poller, &conn->dial->task))
		return 0;
	__atomic_fetch_sub(&server->live, 1, __ATOMIC_SEQ_CST);
	pulse__ws_tell(server);
	pulse_ws_put(conn);
	return -ESHUTDOWN;
}

int pulse_ws_connect(struct pulse_ws_server *server,
		     const struct pulse_ws_connect_opts *opts,
		     struct pulse_ws_conn **out)
{
	struct pulse_ws_connect_opts o;
	struct pulse_ws_conn *conn;
	uint32_t n;
	int err;

	if (!server || !out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o), pulse__size_to(typeof(o), user),
			       opts);
	if (err)
		return err;
	if (pulse__forked(server->fork_gen))
		return -EOWNERDEAD;
	n = __atomic_fetch_add(&server->next_loop, 1, __ATOMIC_RELAXED);
	err = pulse__ws_dial_new(server->loops[n % server->nr_loops], &o, &conn);
	if (err)
		return err;
	err = pulse__ws_dial_go(conn);
	if (err)
		pulse__ws_dial_drop(conn);
	else
		*out = conn;
	return err;
}

/* ---- the loop -------------------------------------------------------------- */

static void run_dial(struct pulse_poller *poller, struct pulse_poller_task *task)
{
	struct pulse__ws_dial *dial = container_of(task, struct pulse__ws_dial,
						   task);
	struct pulse_ws_conn *conn = dial->conn;
	PULSE_OPTS(pulse_connect_opts, o, .address = dial->address,
		   .deadline_ns = dial->deadline_ns, .tls = dial->tls,
		   .server_name = dial->tls ? dial->host : NULL);
	int err = -ESHUTDOWN;

	conn->heard_tick = pulse__ws_tick(conn->loop);
	pulse__list_add_tail(&conn->loop->conns, &conn->link);
	if (!conn->loop->closing)
		err = pulse_transport_connect(poller, &o, pulse__ws_event, conn,
					      &conn->t);
	if (!err) {
		pulse__ws_arm(conn);
		return;
	}
	pulse__ws_dial_fail(conn, err);
	/* Behind the loop's end there is no turn whose end would do it. */
	if (conn->loop->closing)
		pulse__ws_bury(conn);
}

void pulse__ws_dial_fail(struct pulse_ws_conn *conn, int err)
{
	if (conn->dial && !conn->doomed)
		conn->dial->err = err;
	pulse__ws_doom(conn, PULSE_WS_END_REFUSED);
}

void pulse__ws_dial_over(struct pulse_ws_conn *conn)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;
	struct pulse__ws_dial *dial = conn->dial;

	conn->dial = NULL;
	if (conn->more)
		conn->more->dial_err = dial->err;
	if (cfg->h.on_fail)
		cfg->h.on_fail(conn, dial->err, dial->status, cfg->arg);
	dial_free(dial);
}

void pulse__ws_dialed(struct pulse_ws_conn *conn)
{
	if (pulse__ws_put_raw(conn, conn->dial->request, conn->dial->len))
		pulse__ws_dial_fail(conn, -ENOMEM);
}

/* A field that may stand there once, or not at all; *bad if there are two. */
static const char *at_most_once(const struct pulse__ws_head *head,
				const char *name, bool *bad)
{
	*bad |= pulse__ws_head_get(head, name, 1) != NULL;
	return pulse__ws_head_get(head, name, 0);
}

static int check(struct pulse_ws_conn *conn, struct pulse__ws_agreed *agreed)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;
	const struct pulse__ws_head *head = conn->head;
	const char *accept, *sub, *ext;
	char want[PULSE__WS_ACCEPT_LEN + 1];
	bool bad = false;

	if (head->status != 101)
		return -ECONNREFUSED;
	accept = at_most_once(head, "sec-websocket-accept", &bad);
	sub = at_most_once(head, "sec-websocket-protocol", &bad);
	ext = at_most_once(head, "sec-websocket-extensions", &bad);
	pulse__ws_key_accept(conn->dial->key, want);
	if (bad || head->minor < 1 || !accept || strcmp(accept, want) ||
	    !pulse__ws_head_lists(head, "upgrade", "websocket") ||
	    !pulse__ws_head_lists(head, "connection", "upgrade"))
		return -EPROTO;
	if (sub) {
		conn->subprotocol = (uint16_t)pulse__ws_subprotocol(cfg, sub,
								    strlen(sub));
		if (!conn->subprotocol)
			return -EPROTO;
	}
	if (!ext)
		return 0;
	return cfg->deflate.on ?
	       pulse__ws_deflate_accept(&cfg->deflate, ext, agreed) : -EPROTO;
}

void pulse__ws_answered(struct pulse_ws_conn *conn)
{
	struct pulse__ws_agreed agreed = { 0 };
	struct pulse__ws_dial *dial = conn->dial;
	int err = check(conn, &agreed);

	dial->status = conn->head->status;
	if (err) {
		pulse__ws_dial_fail(conn, err);
		return;
	}
	conn->dial = NULL;
	if (pulse__ws_opened(conn, &agreed)) {
		dial_free(dial);
		return;
	}
	conn->dial = dial;
	pulse__ws_dial_fail(conn, -ENOMEM);
}
