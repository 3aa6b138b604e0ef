// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests to the netlink family "pulse", with libnl. What the kernel says about
 * an error (the extended acknowledgement) is kept, and a dump that was not of one
 * moment is asked for again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include <linux/pulse_netlink.h>

#include "ctl.h"

/* Times that a dump is asked for before it is taken as it is. */
#define TRIES	10

struct link {
	struct nl_sock *sk;
	int family;
	struct rows *rows;
	bool done;
	bool enough;		/* fn wants no more events */
	bool no_memory;
	int err;
	char text[256];
	bool (*fn)(const struct row *row, void *arg);
	void *arg;
};

static void row_fill(struct row *row, struct nlmsghdr *h)
{
	struct genlmsghdr *g = nlmsg_data(h);
	struct nlattr *a;
	int rem;

	memset(row, 0, sizeof(*row));
	row->cmd = g->cmd;
	nla_for_each_attr(a, genlmsg_attrdata(g, 0), genlmsg_attrlen(g, 0), rem) {
		int type = nla_type(a), len = nla_len(a);

		if (type >= ROW_ATTRS)
			continue;
		row->has |= 1U << type;
		if (len == 4)
			row->num[type] = nla_get_u32(a);
		else if (len == 8)
			row->num[type] = nla_get_u64(a);
	}
}

/* The one string that messages of a command have. */
static int text_attr(int cmd)
{
	switch (cmd) {
	case PULSE_NL_CMD_WORKER_GET:
		return PULSE_NL_WORKER_COMM;
	case PULSE_NL_CMD_KNOB_GET:
		return PULSE_NL_KNOB_NAME;
	case PULSE_NL_CMD_KNOB_CHANGED:
		return PULSE_NL_EVENT_KNOB_NAME;
	}
	return 0;
}

static void row_of(struct row *row, struct nl_msg *msg)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	struct genlmsghdr *g = nlmsg_data(h);
	struct nlattr *a;

	row_fill(row, h);
	a = nla_find(genlmsg_attrdata(g, 0), genlmsg_attrlen(g, 0),
		     text_attr(g->cmd));
	if (a)
		snprintf(row->text, sizeof(row->text), "%.*s", nla_len(a),
			 (const char *)nla_data(a));
}

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct link *l = arg;
	struct row row, *more;

	if (nlmsg_hdr(msg)->nlmsg_type != l->family)
		return NL_SKIP;
	row_of(&row, msg);
	if (l->fn) {
		l->enough = l->enough || !l->fn(&row, l->arg);
		l->done = l->enough;
		return l->done ? NL_STOP : NL_OK;
	}
	if (!l->rows)
		return NL_OK;
	more = realloc(l->rows->row, (l->rows->nr + 1) * sizeof(row));
	if (!more) {
		l->no_memory = true;
		return NL_OK;
	}
	more[l->rows->nr++] = row;
	l->rows->row = more;
	return NL_OK;
}

static int on_end(struct nl_msg *msg, void *arg)
{
	struct link *l = arg;

	(void)msg;
	l->done = true;
	return NL_STOP;
}

/* The text behind the error, where there is one. */
static void ack_text(struct link *l, const struct nlmsgerr *e)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)e - 1;
	int off = (int)sizeof(*e);
	struct nlattr *a;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		off += (int)(e->msg.nlmsg_len - sizeof(e->msg));
	off = NLMSG_ALIGN(off);
	if ((int)h->nlmsg_len - NLMSG_HDRLEN <= off)
		return;
	a = nla_find((const struct nlattr *)((const char *)e + off),
		     (int)h->nlmsg_len - NLMSG_HDRLEN - off, NLMSGERR_ATTR_MSG);
	if (a)
		snprintf(l->text, sizeof(l->text), "%.*s", nla_len(a),
			 (const char *)nla_data(a));
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	struct link *l = arg;

	(void)from;
	l->err = e->error;
	l->done = true;
	ack_text(l, e);
	return NL_STOP;
}

static int out_of_memory(void)
{
	fputs("pulsectl: out of memory\n", stderr);
	return CTL_FAILED;
}

int link_open(const struct ctl *c, struct link **link)
{
	struct link *l;
	int one = 1;

	if (c->root[0]) {
		fputs("pulsectl: --root shows files only, the kernel is this one's; use it with status and doctor\n",
		      stderr);
		return CTL_USAGE;
	}
	if (!ctl_loaded(c))
		return ctl_say_not_loaded(c);
	l = calloc(1, sizeof(*l));
	if (!l)
		return out_of_memory();
	l->sk = nl_socket_alloc();
	if (!l->sk || genl_connect(l->sk)) {
		fputs("pulsectl: no netlink socket\n", stderr);
		link_close(l);
		return CTL_FAILED;
	}
	nl_socket_set_buffer_size(l->sk, 1 << 20, 0);
	setsockopt(nl_socket_get_fd(l->sk), SOL_NETLINK, NETLINK_EXT_ACK, &one,
		   sizeof(one));
	l->family = genl_ctrl_resolve(l->sk, PULSE_NL_FAMILY);
	if (l->family < 0) {
		fputs("pulsectl: the netlink family \"pulse\" is not here, though the module is loaded; it is in the initial network namespace alone: nsenter -t 1 -n pulsectl ...\n",
		      stderr);
		link_close(l);
		return CTL_FAILED;
	}
	*link = l;
	return CTL_OK;
}

void link_close(struct link *link)
{
	if (!link)
		return;
	nl_socket_free(link->sk);
	free(link);
}

struct nl_msg *link_request(struct link *link, int cmd, bool dump)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (msg && genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, link->family, 0,
			       dump ? NLM_F_DUMP : 0, (uint8_t)cmd,
			       PULSE_NL_VERSION))
		return msg;
	nlmsg_free(msg);
	out_of_memory();
	return NULL;
}

static int ask_once(struct link *l, struct nl_msg *msg)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int ret;

	if (!cb)
		return -ENOMEM;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, l);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_end, l);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_end, l);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, l);
	l->done = false;
	l->no_memory = false;
	l->err = 0;
	l->text[0] = 0;

	nlmsg_hdr(msg)->nlmsg_seq = NL_AUTO_SEQ;
	ret = nl_send_auto(l->sk, msg);
	while (ret >= 0 && !l->done)
		ret = nl_recvmsgs(l->sk, cb);
	nl_cb_put(cb);
	if (ret == -NLE_DUMP_INTR)
		return -EINTR;
	if (l->err)
		return l->err;
	if (l->no_memory)
		return -ENOMEM;
	return ret < 0 && !l->done ? -EIO : 0;
}

int link_ask(struct link *link, struct nl_msg *msg, struct rows *rows)
{
	int ret = -EINTR;

	for (int i = 0; i < TRIES && ret == -EINTR; i++) {
		if (rows)
			rows_free(rows);
		link->rows = rows;
		ret = ask_once(link, msg);
	}
	link->rows = NULL;
	nlmsg_free(msg);
	return ret == -EINTR ? 0 : ret;
}

const char *link_text(const struct link *link)
{
	return link->text;
}

void rows_free(struct rows *rows)
{
	free(rows->row);
	rows->row = NULL;
	rows->nr = 0;
}

int link_failed(const struct link *link, const char *what, int err)
{
	const char *fix = "";

	if (err == -EPERM || err == -EACCES)
		fix = "; fix: run it as root";
	fprintf(stderr, "pulsectl: %s: %s%s\n", what,
		link->text[0] ? link->text : strerror(-err), fix);
	return fix[0] ? CTL_DENIED : CTL_FAILED;
}

/* Without the right to join the group: what happens to one's own contexts. */
static int listen_to_own(struct link *link)
{
	struct nl_msg *msg = link_request(link, PULSE_NL_CMD_LISTEN, false);
	int err;

	if (!msg)
		return CTL_FAILED;
	err = link_ask(link, msg, NULL);
	if (err == -EOPNOTSUPP) {
		link->text[0] = 0;
		return link_failed(link, "listening to events needs CAP_NET_ADMIN",
				   -EPERM);
	}
	if (err)
		return link_failed(link, "listening to events of your contexts",
				   err);
	fputs("pulsectl: events of your own contexts; those of others need CAP_NET_ADMIN\n",
	      stderr);
	return CTL_OK;
}

int link_listen(struct link *link, bool (*fn)(const struct row *row, void *arg),
		void *arg)
{
	int group = genl_ctrl_resolve_grp(link->sk, PULSE_NL_FAMILY,
					  PULSE_NL_GROUP_EVENTS);
	int ret;

	if (group < 0) {
		fputs("pulsectl: the family has no group of events\n", stderr);
		return CTL_FAILED;
	}
	/* events may come before the answer to a request */
	nl_socket_disable_seq_check(link->sk);
	nl_socket_modify_cb(link->sk, NL_CB_VALID, NL_CB_CUSTOM, on_valid, link);
	link->fn = fn;
	link->arg = arg;
	ret = nl_socket_add_membership(link->sk, group);
	if (ret == -NLE_PERM) {
		ret = listen_to_own(link);
		if (ret)
			return ret;
	} else if (ret) {
		link->text[0] = 0;
		return link_failed(link, "listening to events", -EIO);
	}
	while (!link->enough) {
		ret = nl_recvmsgs_default(link->sk);
		/* no room in the socket: the numbers will say what was lost */
		if (ret < 0 && ret != -NLE_NOMEM && ret != -NLE_INTR) {
			fprintf(stderr, "pulsectl: listening: %s\n",
				nl_geterror(ret));
			return CTL_FAILED;
		}
	}
	return CTL_OK;
}
