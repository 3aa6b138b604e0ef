/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nl.h - the netlink family "pulse" for tests, down to the bytes: a message is
 * built by hand, so that it can also be a wrong one.
 *
 * Functions return 0 or a value, or -errno; nothing here checks or prints.
 */
#ifndef PULSE_SELFTESTS_NL_H
#define PULSE_SELFTESTS_NL_H

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <linux/pulse_netlink.h>

#include "dev.h"

#define NL_BUF_BYTES	(64 << 10)
#define NL_MAX_ATTRS	32

struct nl {
	int fd;
	int family;
	int group;		/* of the events */
	__u32 seq;
	/* what the last acknowledgement said */
	char text[256];
	long bad_offset;	/* of the attribute that it points at, or -1 */
	bool intr;		/* the last dump was not of one moment */
	size_t out_len;
	char out[NL_BUF_BYTES] __attribute__((aligned(8)));
	char in[NL_BUF_BYTES] __attribute__((aligned(8)));
};

/* A message that came: its attributes by type, NULL where there is none. */
struct nl_msg {
	int cmd;
	const struct nlattr *attr[NL_MAX_ATTRS];
};

static inline const void *nl_data(const struct nlattr *a)
{
	return (const char *)a + NLA_HDRLEN;
}

static inline __u64 nl_num(const struct nl_msg *m, int type)
{
	const struct nlattr *a = m->attr[type];
	__u64 v = 0;

	if (a && a->nla_len > NLA_HDRLEN && a->nla_len - NLA_HDRLEN <= (int)sizeof(v))
		memcpy(&v, nl_data(a), a->nla_len - NLA_HDRLEN);
	return v;
}

static inline const char *nl_str(const struct nl_msg *m, int type)
{
	return m->attr[type] ? nl_data(m->attr[type]) : "";
}

/* ------------------------------------------------------------- a request */

static inline struct nlmsghdr *nl_begin(struct nl *n, int family, int cmd,
					int flags)
{
	struct nlmsghdr *h = (void *)n->out;
	struct genlmsghdr *g = (void *)(n->out + NLMSG_HDRLEN);

	memset(n->out, 0, NLMSG_HDRLEN + GENL_HDRLEN);
	h->nlmsg_type = (__u16)family;
	h->nlmsg_flags = (__u16)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = ++n->seq;
	g->cmd = (__u8)cmd;
	g->version = 1;
	n->out_len = NLMSG_HDRLEN + GENL_HDRLEN;
	return h;
}

/* Where the attribute begins in the message. */
static inline long nl_put(struct nl *n, int type, const void *data, size_t len)
{
	struct nlattr *a = (void *)(n->out + n->out_len);
	long at = (long)n->out_len;

	memset(a, 0, NLA_ALIGN(NLA_HDRLEN + len));
	a->nla_type = (__u16)type;
	a->nla_len = (__u16)(NLA_HDRLEN + len);
	memcpy((char *)a + NLA_HDRLEN, data, len);
	n->out_len += NLA_ALIGN(a->nla_len);
	return at;
}

static inline long nl_put_u32(struct nl *n, int type, __u32 value)
{
	return nl_put(n, type, &value, sizeof(value));
}

static inline long nl_put_str(struct nl *n, int type, const char *text)
{
	return nl_put(n, type, text, strlen(text) + 1);
}

/*
 * Without an address: with one, the kernel takes it that the sender knows what
 * he does, and does not ask about the socket's opener.
 */
static inline int nl_send(struct nl *n)
{
	((struct nlmsghdr *)n->out)->nlmsg_len = (__u32)n->out_len;
	return send(n->fd, n->out, n->out_len, 0) < 0 ? -errno : 0;
}

/* -------------------------------------------------------------- an answer */

static inline void nl_parse(struct nl_msg *m, const struct nlmsghdr *h)
{
	const char *p = (const char *)h + NLMSG_HDRLEN + GENL_HDRLEN;
	const char *end = (const char *)h + h->nlmsg_len;

	memset(m, 0, sizeof(*m));
	m->cmd = ((const struct genlmsghdr *)((const char *)h + NLMSG_HDRLEN))->cmd;
	while (end - p >= NLA_HDRLEN) {
		const struct nlattr *a = (const void *)p;
		int type = a->nla_type & NLA_TYPE_MASK;

		if (a->nla_len < NLA_HDRLEN || a->nla_len > end - p)
			return;
		if (type < NL_MAX_ATTRS)
			m->attr[type] = a;
		p += NLA_ALIGN(a->nla_len);
	}
}

/* What an acknowledgement says beside the error. */
static inline void nl_parse_ack(struct nl *n, const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = (const void *)((const char *)h + NLMSG_HDRLEN);
	const char *end = (const char *)h + h->nlmsg_len;
	const char *p = (const char *)(e + 1);

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		p += NLMSG_ALIGN(e->msg.nlmsg_len) - sizeof(e->msg);
	while (end - p >= NLA_HDRLEN) {
		const struct nlattr *a = (const void *)p;

		if (a->nla_len < NLA_HDRLEN || a->nla_len > end - p)
			return;
		if (a->nla_type == NLMSGERR_ATTR_MSG)
			snprintf(n->text, sizeof(n->text), "%s",
				 (const char *)nl_data(a));
		if (a->nla_type == NLMSGERR_ATTR_OFFS)
			n->bad_offset = *(const __u32 *)nl_data(a);
		p += NLA_ALIGN(a->nla_len);
	}
}

typedef void (*nl_fn)(const struct nl_msg *m, void *arg);

/*
 * Reads until the acknowledgement of what was sent last, or the end of its dump;
 * fn gets each message. 0 or the error that came.
 */
static inline int nl_read(struct nl *n, nl_fn fn, void *arg)
{
	n->text[0] = 0;
	n->bad_offset = -1;
	n->intr = false;
	for (;;) {
		ssize_t len = recv(n->fd, n->in, sizeof(n->in), 0);
		const struct nlmsghdr *h = (void *)n->in;

		if (len < 0)
			return -errno;
		for (; len >= (ssize_t)sizeof(*h) && h->nlmsg_len <= (size_t)len;
		     len -= NLMSG_ALIGN(h->nlmsg_len),
		     h = (const void *)((const char *)h + NLMSG_ALIGN(h->nlmsg_len))) {
			struct nl_msg m;

			if (h->nlmsg_seq != n->seq)
				continue;
			n->intr |= h->nlmsg_flags & NLM_F_DUMP_INTR;
			if (h->nlmsg_type == NLMSG_ERROR) {
				nl_parse_ack(n, h);
				return *(const int *)((const char *)h + NLMSG_HDRLEN);
			}
			if (h->nlmsg_type == NLMSG_DONE)
				return *(const int *)((const char *)h + NLMSG_HDRLEN);
			nl_parse(&m, h);
			if (fn)
				fn(&m, arg);
		}
	}
}

static inline int nl_talk(struct nl *n, nl_fn fn, void *arg)
{
	int ret = nl_send(n);

	return ret ? ret : nl_read(n, fn, arg);
}

/* ---------------------------------------------------------------- a socket */

static inline void nl_found(const struct nl_msg *m, void *arg)
{
	struct nl *n = arg;
	const struct nlattr *groups = m->attr[CTRL_ATTR_MCAST_GROUPS];

	n->family = (int)nl_num(m, CTRL_ATTR_FAMILY_ID);
	if (groups) {
		/* the first group, and in it name and id in any order */
		const struct nlattr *g = nl_data(groups);
		const char *p = nl_data(g), *end = (const char *)g + g->nla_len;

		while (end - p >= NLA_HDRLEN) {
			const struct nlattr *a = (const void *)p;

			if (a->nla_type == CTRL_ATTR_MCAST_GRP_ID)
				n->group = *(const int *)nl_data(a);
			p += NLA_ALIGN(a->nla_len);
		}
	}
}

static inline int nl_open(struct nl *n)
{
	int one = 1, ret;

	n->seq = 0;
	n->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (n->fd < 0)
		return -errno;
	setsockopt(n->fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	nl_begin(n, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK);
	nl_put_str(n, CTRL_ATTR_FAMILY_NAME, PULSE_NL_FAMILY);
	n->family = n->group = 0;
	ret = nl_talk(n, nl_found, n);
	if (ret) {
		close(n->fd);
		n->fd = -1;
	}
	return ret;
}

static inline void nl_close(struct nl *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

static inline int nl_join(struct nl *n)
{
	return setsockopt(n->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &n->group,
			  sizeof(n->group)) ? -errno : 0;
}

/* LISTEN; 0 or -errno. */
static inline int nl_listen(struct nl *n)
{
	nl_begin(n, n->family, PULSE_NL_CMD_LISTEN, NLM_F_ACK);
	return nl_talk(n, NULL, NULL);
}

#define NL_ACK	NLM_F_ACK
#define NL_DUMP	NLM_F_DUMP

/* Begins a request to the family. */
static inline void nl_ask(struct nl *n, int cmd, int flags)
{
	nl_begin(n, n->family, cmd, flags);
}

/* 0 or -errno. */
static inline int nl_knob_set(struct nl *n, __u32 ctx, const char *name,
			      __u32 value)
{
	nl_ask(n, PULSE_NL_CMD_KNOB_SET, NL_ACK);
	if (ctx)
		nl_put_u32(n, PULSE_NL_KNOB_CTX_ID, ctx);
	nl_put_str(n, PULSE_NL_KNOB_NAME, name);
	nl_put_u32(n, PULSE_NL_KNOB_VALUE, value);
	return nl_talk(n, NULL, NULL);
}

/* The next event that comes within 10 s; false: none came, or an error. */
static inline bool nl_event(struct nl *n, struct nl_msg *m)
{
	ssize_t len = 0;

	if (!EVENTUALLY((len = recv(n->fd, n->in, sizeof(n->in),
				    MSG_DONTWAIT)) >= 0 || errno != EAGAIN) ||
	    len < (ssize_t)(NLMSG_HDRLEN + GENL_HDRLEN))
		return false;
	nl_parse(m, (void *)n->in);
	return true;
}

#endif /* PULSE_SELFTESTS_NL_H */
