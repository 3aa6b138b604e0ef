/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ssl_peer.h - a client that is OpenSSL itself, in a thread, over a plain socket:
 * it does what no transport of ours would do. libssl is there where the plug-in is.
 */
#ifndef PULSE_SELFTESTS_IO_SSL_PEER_H
#define PULSE_SELFTESTS_IO_SSL_PEER_H

#include "ktap.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include <pulse-u/transport.h>

static struct {
	const void *(*client_method)(void);
	void *(*ctx_new)(const void *method);
	void (*ctx_free)(void *ctx);
	void *(*new)(void *ctx);
	void (*free)(void *ssl);
	int (*set_fd)(void *ssl, int fd);
	int (*connect)(void *ssl);
	int (*read)(void *ssl, void *buf, int len);
	int (*write)(void *ssl, const void *buf, int len);
	int (*key_update)(void *ssl, int kind);
	int (*shutdown)(void *ssl);
} ssl;

static inline bool ssl_load(void)
{
	static const char *const names[] = {
		"TLS_client_method", "SSL_CTX_new", "SSL_CTX_free", "SSL_new",
		"SSL_free", "SSL_set_fd", "SSL_connect", "SSL_read", "SSL_write",
		"SSL_key_update", "SSL_shutdown",
	};
	void *lib = dlopen("libssl.so.3", RTLD_NOW);
	void *found[sizeof(names) / sizeof(names[0])];

	_Static_assert(sizeof(found) == sizeof(ssl), "one each");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		found[i] = lib ? dlsym(lib, names[i]) : NULL;
		if (!found[i])
			return false;
	}
	memcpy(&ssl, found, sizeof(ssl));
	return true;
}

struct ssl_peer {
	pthread_t thread;
	char to[PULSE_ADDRESS_MAX];	/* 127.0.0.1:port */
	int kind;		/* of its new keys: 1 wants the other's to be new, too */
	int rounds;		/* of bytes, new keys, bytes */
	int piece;		/* bytes at a time, which are answered by as many */
	/* what came of it */
	bool met, all, done;
	int wrong;		/* bytes that nobody has sent */
};

/* False: the connection has ended. */
static inline bool ssl_say(struct ssl_peer *p, void *s, long from)
{
	unsigned char buf[4096];
	int had = 0;

	for (int i = 0; i < p->piece; i++)
		buf[i] = (unsigned char)((from + i) % 251);
	if (ssl.write(s, buf, p->piece) != p->piece)
		return false;
	while (had < p->piece) {
		int n = ssl.read(s, buf, p->piece - had);

		if (n <= 0)
			return false;
		for (int i = 0; i < n; i++)
			p->wrong += buf[i] != (unsigned char)((from + had + i) % 251);
		had += n;
	}
	return true;
}

static inline bool ssl_talk(struct ssl_peer *p, void *s)
{
	long at = 0;

	for (int i = 0; i < p->rounds; i++, at += p->piece) {
		if (!ssl_say(p, s, at))
			return false;
		if (ssl.key_update(s, p->kind) != 1)
			return false;
	}
	return ssl_say(p, s, at);
}

static inline void *ssl_run(void *arg)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = { 100, 0 };
	struct ssl_peer *p = arg;
	void *ctx, *s;
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons((uint16_t)atoi(strrchr(p->to, ':') + 1));
	ctx = ssl.ctx_new(ssl.client_method());
	s = ssl.new(ctx);
	ssl.set_fd(s, fd);
	if (!connect(fd, (struct sockaddr *)&sin, sizeof(sin)) &&
	    ssl.connect(s) == 1) {
		p->met = true;
		p->all = ssl_talk(p, s);
		if (p->all)
			ssl.shutdown(s);
	}
	ssl.free(s);
	ssl.ctx_free(ctx);
	close(fd);
	__atomic_store_n(&p->done, true, __ATOMIC_RELEASE);
	return NULL;
}

#endif /* PULSE_SELFTESTS_IO_SSL_PEER_H */
