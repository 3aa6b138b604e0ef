/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * rdma.h - between the library and its RDMA plug-in.
 *
 * The plug-in meets peers and posts messages, and knows nothing of loops nor of
 * what is in a message; the library (io/rdma.c) counts credits, and knows nothing
 * of librdmacm and libibverbs. Either side includes this header and nothing of
 * the other.
 *
 * An endpoint listens, was dialled, or was asked for by a peer; all calls of one
 * come from one thread.
 */
#ifndef PULSE__IO_PLUGIN_RDMA_H
#define PULSE__IO_PLUGIN_RDMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define PULSE__RDMA_ABI	1

enum pulse__rdma_what {
	PULSE__RDMA_NOTHING,
	PULSE__RDMA_ASKED,	/* listening: @end is somebody who wants in */
	PULSE__RDMA_ROUTED,	/* dialled: prepare() and connect() it now */
	PULSE__RDMA_OPEN,	/* both sides have agreed */
	PULSE__RDMA_GONE,	/* the peer has disconnected */
	PULSE__RDMA_FAILED,	/* @err */
};

struct pulse__rdma_news {
	int what;
	int err;
	void *end;
	size_t len;		/* what the peer has sent along with it */
	unsigned char data[64];
};

struct pulse__rdma_done {
	uint64_t tag;
	uint32_t len;		/* of what was received */
	bool received;
	int err;
};

/* The only symbol of the plug-in: struct pulse__rdma_engine pulse__rdma_engine. */
struct pulse__rdma_engine {
	uint32_t abi;
	/* Is there a device? 0; -EOPNOTSUPP, and @why in one sentence. */
	int (*probe)(char *why, size_t len);
	/* @fd is readable when there are news. */
	int (*listen)(const struct sockaddr *at, int backlog, void **end,
		      int *fd);
	int (*dial)(const struct sockaddr *to, void **end, int *fd);
	/*
	 * 0, PULSE__RDMA_NOTHING when there are none; -EMFILE and others: who
	 * asks waits, try again later.
	 */
	int (*news)(void *end, struct pulse__rdma_news *out);
	/*
	 * An endpoint that is about to connect() or accept(): registers @memory,
	 * which messages lie in. @news_fd and @done_fd are readable when there
	 * are news, or when something has been done since arm().
	 */
	int (*prepare)(void *end, void *memory, size_t bytes, uint32_t sends,
		       uint32_t recvs, int *news_fd, int *done_fd);
	/* @data, up to 32 bytes, goes to the peer along with it. */
	int (*connect)(void *end, const void *data, size_t len);
	int (*accept)(void *end, const void *data, size_t len);
	/* Each is done once, in the order of its kind. */
	int (*post_recv)(void *end, void *at, uint32_t len, uint64_t tag);
	int (*post_send)(void *end, const void *at, uint32_t len, uint64_t tag);
	/* What was done: how many, or -errno. */
	int (*poll)(void *end, struct pulse__rdma_done *out, int nr);
	/* From now on what is done makes done_fd readable; poll() after it. */
	int (*arm)(void *end);
	/* The peer is told, and answers with PULSE__RDMA_GONE. */
	void (*disconnect)(void *end);
	void (*free)(void *end);
	/* 0 or -errno. */
	int (*address)(void *end, bool peer, struct sockaddr_storage *out);
};

#endif /* PULSE__IO_PLUGIN_RDMA_H */
