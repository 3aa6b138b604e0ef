/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tls.h - between the library and its TLS plug-in.
 *
 * The plug-in turns bytes into records and back and knows nothing of loops;
 * the library (io/tls.c) moves records and knows nothing of OpenSSL. Either
 * side includes this header and nothing of the other.
 */
#ifndef PULSE__IO_PLUGIN_TLS_H
#define PULSE__IO_PLUGIN_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <pulse-u/tls.h>

#define PULSE__TLS_ABI	2

/* What a session needs of its connection; @arg is as given to session_new(). */
struct pulse__tls_io {
	/* Records of the peer: bytes; 0 its end; -EAGAIN; others: broken. */
	ssize_t (*recv)(void *arg, void *buf, size_t len);
	/* Takes records for it: 0 or -ENOMEM. */
	int (*put)(void *arg, const void *data, size_t len);
	/* Is all that was put with the kernel? Tries. */
	bool (*flushed)(void *arg);
	/* The TCP socket, for kTLS; -1: there is none. */
	int (*fd)(void *arg);
};

/* The only symbol of the plug-in: struct pulse__tls_engine pulse__tls_engine. */
struct pulse__tls_engine {
	uint32_t abi;
	/*
	 * 0; -errno, and @why in one sentence. @opts->names are in small letters
	 * and in the order of strcmp(), and outlive the context, as all of @opts.
	 */
	int (*ctx_new)(const struct pulse_tls_opts *opts, void **ctx,
		       char *why, size_t len);
	void (*ctx_free)(void *ctx);
	/*
	 * @name: whom the peer must prove to be, a host or an IP address; NULL:
	 * a server's session. The context outlives it.
	 */
	int (*session_new)(void *ctx, const char *name,
			   const struct pulse__tls_io *io, void *arg,
			   void **session);
	void (*session_free)(void *session);
	/* 0 done; -EAGAIN; -EKEYREJECTED, -EPROTO, -ECONNRESET and @why. */
	int (*handshake)(void *session, char *why, size_t len);
	/* Bytes; 0 the peer has said that it ends; -EAGAIN; broken. */
	ssize_t (*read)(void *session, void *buf, size_t len);
	/* All of @len, at most 16 KiB, are put; 0 or broken. */
	int (*write)(void *session, const void *buf, size_t len);
	/* Tells the peer that it ends. */
	void (*shutdown)(void *session);
	/* Is there something to read without the peer sending more? */
	bool (*pending)(void *session);
	void (*info)(void *session, struct pulse_tls_info *info);
};

#endif /* PULSE__IO_PLUGIN_TLS_H */
