// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * rdma_verbs.c - the RDMA plug-in: librdmacm meets peers, libibverbs carries
 * messages (reliable connected queue pairs, send and receive).
 *
 * Descriptors that an endpoint is going to need are taken before it is known
 * whether they are needed: without them a listener leaves who asks where they
 * are, and a dialled one fails at once rather than halfway.
 */
#include "rdma.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <rdma/rdma_cma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RESOLVE_MS	2000
#define RNR_FOR_EVER	7

struct descriptors {
	struct rdma_event_channel *channel;
	int reserve;		/* the place of a completion channel; -1: none */
};

struct endpoint {
	struct descriptors fds;
	struct descriptors next;	/* listening: for the next who asks */
	struct rdma_cm_id *id;
	struct ibv_comp_channel *done;
	struct ibv_cq *cq;
	struct ibv_mr *mr;
	bool listens;
};

static int set_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC))
		return -errno;
	return 0;
}

/* libibverbs says some with errno, some with -1 and errno. */
static int failed(int ret)
{
	if (!ret)
		return 0;
	return ret > 0 ? -ret : errno ? -errno : -EIO;
}

static void give_back(struct descriptors *d)
{
	if (d->reserve >= 0)
		close(d->reserve);
	if (d->channel)
		rdma_destroy_event_channel(d->channel);
	d->channel = NULL;
	d->reserve = -1;
}

static int take(struct descriptors *d)
{
	int err;

	if (d->channel)
		return 0;
	d->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (d->reserve < 0)
		return -errno;
	errno = 0;
	d->channel = rdma_create_event_channel();
	err = d->channel ? set_flags(d->channel->fd) : failed(-1);
	if (err)
		give_back(d);
	return err;
}

static int probe(char *why, size_t len)
{
	struct ibv_device **list;
	int nr = 0;

	list = ibv_get_device_list(&nr);
	if (list)
		ibv_free_device_list(list);
	if (!list || !nr) {
		snprintf(why, len, "there is no RDMA device; fix: load its driver, or rdma_rxe and \"rdma link add rxe0 type rxe netdev NAME\"");
		return -EOPNOTSUPP;
	}
	if (access("/dev/infiniband/rdma_cm", R_OK | W_OK)) {
		snprintf(why, len, "/dev/infiniband/rdma_cm: %s; fix: modprobe rdma_ucm, and the right to use it",
			 strerror(errno));
		return -EOPNOTSUPP;
	}
	return 0;
}

static void endpoint_free(void *arg)
{
	struct endpoint *e = arg;

	if (e->id && e->id->qp)
		rdma_destroy_qp(e->id);
	if (e->mr)
		ibv_dereg_mr(e->mr);
	if (e->cq)
		ibv_destroy_cq(e->cq);
	if (e->done)
		ibv_destroy_comp_channel(e->done);
	if (e->id)
		rdma_destroy_id(e->id);
	give_back(&e->fds);
	give_back(&e->next);
	free(e);
}

static int endpoint_new(struct endpoint **out)
{
	struct endpoint *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return -ENOMEM;
	e->fds.reserve = -1;
	e->next.reserve = -1;
	err = take(&e->fds);
	errno = 0;
	if (!err && rdma_create_id(e->fds.channel, &e->id, e, RDMA_PS_TCP))
		err = failed(-1);
	if (err) {
		endpoint_free(e);
		return err;
	}
	*out = e;
	return 0;
}

static int listen_at(const struct sockaddr *at, int backlog, void **out,
		     int *fd)
{
	struct endpoint *e;
	int err = endpoint_new(&e);

	if (err)
		return err;
	e->listens = true;
	errno = 0;
	if (rdma_bind_addr(e->id, (struct sockaddr *)at) ||
	    rdma_listen(e->id, backlog)) {
		err = failed(-1);
		endpoint_free(e);
		return err;
	}
	*out = e;
	*fd = e->fds.channel->fd;
	return 0;
}

static int dial(const struct sockaddr *to, void **out, int *fd)
{
	struct endpoint *e;
	int err = endpoint_new(&e);

	if (err)
		return err;
	errno = 0;
	if (rdma_resolve_addr(e->id, NULL, (struct sockaddr *)to,
			      RESOLVE_MS)) {
		err = failed(-1);
		endpoint_free(e);
		return err;
	}
	*out = e;
	*fd = e->fds.channel->fd;
	return 0;
}

/* ---- news ------------------------------------------------------------------ */

/* Who asks gets the descriptors that were taken for them; false: gone again. */
static bool asked(struct endpoint *listener, struct rdma_cm_id *id,
		  struct pulse__rdma_news *out)
{
	struct endpoint *e = calloc(1, sizeof(*e));

	if (!e || rdma_migrate_id(id, listener->next.channel)) {
		rdma_destroy_id(id);	/* which refuses it */
		free(e);
		return false;
	}
	e->fds = listener->next;
	e->next.reserve = -1;
	e->id = id;
	id->context = e;
	listener->next = (struct descriptors){ .reserve = -1 };
	out->what = PULSE__RDMA_ASKED;
	out->end = e;
	return true;
}

static void keep_data(const struct rdma_cm_event *ev,
		      struct pulse__rdma_news *out)
{
	out->len = ev->param.conn.private_data_len;
	if (!ev->param.conn.private_data)
		out->len = 0;
	if (out->len > sizeof(out->data))
		out->len = sizeof(out->data);
	if (out->len)
		memcpy(out->data, ev->param.conn.private_data, out->len);
}

static void says_no(struct pulse__rdma_news *out, int status, int otherwise)
{
	out->what = PULSE__RDMA_FAILED;
	out->err = status < 0 ? status : otherwise;
}

/* One event, which is acknowledged, as news; PULSE__RDMA_NOTHING: none yet. */
static void translate(struct endpoint *e, enum rdma_cm_event_type event,
		      int status, struct rdma_cm_id *id,
		      struct pulse__rdma_news *out)
{
	switch (event) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
		errno = 0;
		if (rdma_resolve_route(id, RESOLVE_MS))
			says_no(out, failed(-1), -EHOSTUNREACH);
		break;
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		out->what = PULSE__RDMA_ROUTED;
		break;
	case RDMA_CM_EVENT_CONNECT_REQUEST:
		asked(e, id, out);
		break;
	case RDMA_CM_EVENT_ESTABLISHED:
		out->what = PULSE__RDMA_OPEN;
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
		rdma_disconnect(id);	/* the answer; or it was ours */
		out->what = PULSE__RDMA_GONE;
		break;
	case RDMA_CM_EVENT_REJECTED:
		says_no(out, -ECONNREFUSED, 0);
		break;
	case RDMA_CM_EVENT_ADDR_ERROR:
	case RDMA_CM_EVENT_ROUTE_ERROR:
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_UNREACHABLE:
		says_no(out, status, -EHOSTUNREACH);
		break;
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		says_no(out, -ENODEV, 0);
		break;
	default:
		break;
	}
}

static int news(void *arg, struct pulse__rdma_news *out)
{
	struct endpoint *e = arg;
	int err = e->listens ? take(&e->next) : 0;

	memset(out, 0, sizeof(*out));
	while (!err && out->what == PULSE__RDMA_NOTHING) {
		enum rdma_cm_event_type event;
		struct rdma_cm_event *ev;
		struct rdma_cm_id *id;
		int status;

		if (rdma_get_cm_event(e->fds.channel, &ev))
			return errno == EAGAIN ? 0 : -errno;
		event = ev->event;
		status = ev->status;
		id = ev->id;
		if (event == RDMA_CM_EVENT_CONNECT_REQUEST ||
		    event == RDMA_CM_EVENT_ESTABLISHED)
			keep_data(ev, out);
		rdma_ack_cm_event(ev);	/* before an id can migrate */
		translate(e, event, status, id, out);
	}
	return err;
}

/* ---- messages ---------------------------------------------------------------- */

static int prepare(void *arg, void *memory, size_t bytes, uint32_t sends,
		   uint32_t recvs, int *news_fd, int *done_fd)
{
	struct ibv_qp_init_attr attr = {
		.cap = { .max_send_wr = sends, .max_recv_wr = recvs,
			 .max_send_sge = 1, .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC, .sq_sig_all = 1,
	};
	struct endpoint *e = arg;
	int err;

	if (e->fds.reserve >= 0)
		close(e->fds.reserve);
	e->fds.reserve = -1;
	errno = 0;
	e->done = ibv_create_comp_channel(e->id->verbs);
	if (!e->done)
		return failed(-1);
	err = set_flags(e->done->fd);
	if (err)
		return err;
	errno = 0;
	e->cq = ibv_create_cq(e->id->verbs, (int)(sends + recvs), NULL,
			      e->done, 0);
	if (!e->cq)
		return failed(-1);
	attr.send_cq = e->cq;
	attr.recv_cq = e->cq;
	if (rdma_create_qp(e->id, NULL, &attr))
		return failed(-1);
	e->mr = ibv_reg_mr(e->id->pd, memory, bytes, IBV_ACCESS_LOCAL_WRITE);
	if (!e->mr)
		return failed(-1);
	*news_fd = e->fds.channel->fd;
	*done_fd = e->done->fd;
	return failed(ibv_req_notify_cq(e->cq, 0));
}

static struct rdma_conn_param parameters(const void *data, size_t len)
{
	return (struct rdma_conn_param){
		.private_data = data, .private_data_len = (uint8_t)len,
		.retry_count = 7, .rnr_retry_count = RNR_FOR_EVER,
	};
}

static int connect_to(void *arg, const void *data, size_t len)
{
	struct rdma_conn_param param = parameters(data, len);
	struct endpoint *e = arg;

	errno = 0;
	return rdma_connect(e->id, &param) ? failed(-1) : 0;
}

static int accept_it(void *arg, const void *data, size_t len)
{
	struct rdma_conn_param param = parameters(data, len);
	struct endpoint *e = arg;

	errno = 0;
	return rdma_accept(e->id, &param) ? failed(-1) : 0;
}

static struct ibv_sge piece(const struct endpoint *e, const void *at,
			    uint32_t len)
{
	return (struct ibv_sge){ .addr = (uintptr_t)at, .length = len,
				 .lkey = e->mr->lkey };
}

static int post_recv(void *arg, void *at, uint32_t len, uint64_t tag)
{
	struct endpoint *e = arg;
	struct ibv_sge sge = piece(e, at, len);
	struct ibv_recv_wr wr = { .wr_id = tag, .sg_list = &sge,
				  .num_sge = 1 }, *bad;

	return failed(ibv_post_recv(e->id->qp, &wr, &bad));
}

static int post_send(void *arg, const void *at, uint32_t len, uint64_t tag)
{
	struct endpoint *e = arg;
	struct ibv_sge sge = piece(e, at, len);
	struct ibv_send_wr wr = { .wr_id = tag, .sg_list = &sge, .num_sge = 1,
				  .opcode = IBV_WR_SEND }, *bad;

	return failed(ibv_post_send(e->id->qp, &wr, &bad));
}

/* Of one that has failed only the tag is sure: received is not told. */
static int poll_done(void *arg, struct pulse__rdma_done *out, int nr)
{
	struct endpoint *e = arg;
	struct ibv_wc wc[16];
	int n = ibv_poll_cq(e->cq, nr < 16 ? nr : 16, wc);

	for (int i = 0; i < n; i++)
		out[i] = (struct pulse__rdma_done){
			.tag = wc[i].wr_id,
			.len = wc[i].byte_len,
			.received = wc[i].status == IBV_WC_SUCCESS &&
				    wc[i].opcode & IBV_WC_RECV,
			.err = wc[i].status == IBV_WC_SUCCESS ? 0 : -ECONNRESET,
		};
	return n < 0 ? -EIO : n;
}

static int arm(void *arg)
{
	struct endpoint *e = arg;
	struct ibv_cq *cq;
	void *context;

	while (!ibv_get_cq_event(e->done, &cq, &context))
		ibv_ack_cq_events(cq, 1);
	return failed(ibv_req_notify_cq(e->cq, 0));
}

static void disconnect(void *arg)
{
	struct endpoint *e = arg;

	rdma_disconnect(e->id);
}

static int address(void *arg, bool peer, struct sockaddr_storage *out)
{
	struct endpoint *e = arg;
	const struct sockaddr *sa = peer ? rdma_get_peer_addr(e->id) :
					   rdma_get_local_addr(e->id);

	memset(out, 0, sizeof(*out));
	if (sa->sa_family == AF_INET)
		memcpy(out, sa, sizeof(struct sockaddr_in));
	else if (sa->sa_family == AF_INET6)
		memcpy(out, sa, sizeof(struct sockaddr_in6));
	else
		return -ENOTCONN;
	return 0;
}

__attribute__((visibility("default")))
const struct pulse__rdma_engine pulse__rdma_engine = {
	.abi = PULSE__RDMA_ABI,
	.probe = probe,
	.listen = listen_at,
	.dial = dial,
	.news = news,
	.prepare = prepare,
	.connect = connect_to,
	.accept = accept_it,
	.post_recv = post_recv,
	.post_send = post_send,
	.poll = poll_done,
	.arm = arm,
	.disconnect = disconnect,
	.free = endpoint_free,
	.address = address,
};
