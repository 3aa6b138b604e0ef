// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * tls_openssl.c - the TLS plug-in: OpenSSL 3 behind struct pulse__tls_engine.
 *
 * A session reads and writes through a BIO of our own, which hands records to
 * the library. kTLS needs the socket itself: once what was written before is
 * with the kernel, or what was read before are whole records, the keys are set on
 * it, and data goes to and comes from the socket without us; what is not data
 * (alerts, new keys) goes through a socket BIO.
 *
 * OpenSSL up to 3.1 gives the keys of what is received away for TLS 1.2 only.
 */
#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* OpenSSL's own commands to BIOs: bio.h has the numbers, but no names. */
#define CTRL_SET_KTLS		72
#define CTRL_SET_CTRL_MSG	74
#define CTRL_CLEAR_CTRL_MSG	75

/* One of the names of a server. */
struct named {
	const char *name;
	SSL_CTX *ssl;
};

struct ctx {
	SSL_CTX *ssl;
	int verify;
	bool only_names;
	struct named *named;	/* by name */
	size_t nr_named;
	unsigned char *alpn;	/* as on the wire */
	unsigned int alpn_len;
};

struct session {
	SSL *ssl;
	BIO *sock;		/* with kTLS */
	bool kernel_sends, kernel_receives, control;
	bool ended;		/* the peer's end without a close_notify */
	int err;		/* what the connection said */
	const struct pulse__tls_io *io;
	void *arg;
};

/* ---- the BIO -------------------------------------------------------------- */

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

/* A record, decrypted, behind a header that OpenSSL makes of what the kernel says. */
static ssize_t kernel_read(struct session *s, char *buf, int len)
{
	int n = BIO_read(s->sock, buf, len);

	if (n >= 0)
		return n;
	return errno == EWOULDBLOCK || errno == EINTR ? -EAGAIN : -errno;
}

/* Records that the kernel does not believe: OpenSSL looks at errno itself. */
static bool bad_record(ssize_t err)
{
	return err == -EBADMSG || err == -EMSGSIZE || err == -EINVAL;
}

static int bio_read(BIO *bio, char *buf, int len)
{
	struct session *s = BIO_get_data(bio);
	ssize_t n = s->kernel_receives ? kernel_read(s, buf, len) :
		    s->io->recv(s->arg, buf, (size_t)len);

	BIO_clear_retry_flags(bio);
	if (n > 0)
		return (int)n;
	if (s->kernel_receives && bad_record(n))
		return -1;
	if (n == -EAGAIN)
		BIO_set_retry_read(bio);
	else if (n == 0)
		s->ended = true;
	else
		s->err = (int)n;
	return n == 0 ? 0 : -1;
}

/* OpenSSL writes to the socket without MSG_NOSIGNAL. */
static int without_sigpipe(BIO *sock, const char *buf, int len)
{
	struct timespec now = { 0 };
	sigset_t pipe, old, was;
	int n, err;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&was);
	pthread_sigmask(SIG_BLOCK, &pipe, &old);
	n = BIO_write(sock, buf, len);
	err = errno;
	if (n < 0 && err == EPIPE && !sigismember(&was, SIGPIPE))
		while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = err;
	return n;
}

static int bio_write(BIO *bio, const char *buf, int len)
{
	struct session *s = BIO_get_data(bio);
	int n;

	BIO_clear_retry_flags(bio);
	if (s->control || s->kernel_sends) {
		n = without_sigpipe(s->sock, buf, len);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			BIO_set_retry_write(bio);
		return n;
	}
	n = s->io->put(s->arg, buf, (size_t)len);
	if (n) {
		s->err = n;
		return -1;
	}
	return len;
}

/* The keys of what is sent, or received. */
static long start_ktls(struct session *s, long sends, void *keys)
{
	int fd = s->io->fd(s->arg);

	if (fd < 0 || (sends && !s->io->flushed(s->arg)))
		return 0;
	if (!s->sock)
		s->sock = BIO_new_socket(fd, BIO_NOCLOSE);
	if (!s->sock || BIO_ctrl(s->sock, CTRL_SET_KTLS, sends, keys) <= 0)
		return 0;
	if (sends)
		s->kernel_sends = true;
	else
		s->kernel_receives = true;
	return 1;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	struct session *s = BIO_get_data(bio);

	switch (cmd) {
	case BIO_CTRL_FLUSH:	/* what was put is the library's to send */
		return 1;
	case BIO_CTRL_EOF:
		return s->ended;
	case CTRL_SET_KTLS:
		return start_ktls(s, num, ptr);
	case BIO_CTRL_GET_KTLS_SEND:
		return s->kernel_sends;
	case BIO_CTRL_GET_KTLS_RECV:
		return s->kernel_receives;
	case CTRL_SET_CTRL_MSG:
	case CTRL_CLEAR_CTRL_MSG:
		s->control = cmd == CTRL_SET_CTRL_MSG;
		return s->sock ? BIO_ctrl(s->sock, cmd, num, ptr) : 0;
	default:
		return 0;
	}
}

static void make_method(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
			      "pulse");
	if (!method)
		return;
	BIO_meth_set_read(method, bio_read);
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_ctrl(method, bio_ctrl);
}

/* ---- contexts ------------------------------------------------------------- */

static int say(char *why, size_t len, int err, const char *what,
	       const char *file)
{
	unsigned long code = ERR_get_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	snprintf(why, len, "%s%s%s%s%s", what, file ? " " : "",
		 file ? file : "", reason ? ": " : "", reason ? reason : "");
	ERR_clear_error();
	return err;
}

/* Tells a file that is not there from one that is no good. */
static int unreadable(const char *file, char *why, size_t len)
{
	FILE *f = fopen(file, "re");
	int err = -errno;

	if (f) {
		fclose(f);
		return 0;
	}
	snprintf(why, len, "cannot read %s: %s", file, strerror(-err));
	return err;
}

static int load_pair(SSL_CTX *ssl, const char *cert, const char *key, char *why,
		     size_t len)
{
	int err;

	if (!cert)
		return 0;
	if (!key)
		key = cert;
	err = unreadable(cert, why, len);
	if (!err)
		err = unreadable(key, why, len);
	if (err)
		return err;
	if (SSL_CTX_use_certificate_chain_file(ssl, cert) != 1)
		return say(why, len, -EKEYREJECTED, "no certificate in", cert);
	if (SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1)
		return say(why, len, -EKEYREJECTED, "no key of the certificate in",
			   key);
	return 0;
}

static int load_authorities(SSL_CTX *ssl, const struct pulse_tls_opts *o,
			    char *why, size_t len)
{
	int err;

	if (!o->ca_file) {
		SSL_CTX_set_default_verify_paths(ssl);
		ERR_clear_error();
		return 0;
	}
	err = unreadable(o->ca_file, why, len);
	if (err)
		return err;
	if (SSL_CTX_load_verify_locations(ssl, o->ca_file, NULL) != 1)
		return say(why, len, -EKEYREJECTED, "no certificate in",
			   o->ca_file);
	return 0;
}

static int select_alpn(SSL *ssl, const unsigned char **out,
		       unsigned char *out_len, const unsigned char *in,
		       unsigned int in_len, void *arg)
{
	struct ctx *ctx = arg;

	(void)ssl;
	if (SSL_select_next_proto((unsigned char **)out, out_len, ctx->alpn,
				  ctx->alpn_len, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

static int load_alpn(struct ctx *ctx, const struct pulse_tls_opts *o, char *why,
		     size_t len)
{
	size_t room = 0, at = 0;

	for (int i = 0; o->alpn && o->alpn[i]; i++) {
		size_t n = strlen(o->alpn[i]);

		room += n + 1;
		if (!n || n > 255 || room > 65535)
			return say(why, len, -EINVAL,
				   "an ALPN name has 1 to 255 bytes, not as",
				   o->alpn[i]);
	}
	if (!room)
		return 0;
	ctx->alpn = malloc(room);
	if (!ctx->alpn)
		return -ENOMEM;
	for (int i = 0; o->alpn[i]; i++) {
		size_t n = strlen(o->alpn[i]);

		ctx->alpn[at++] = (unsigned char)n;
		memcpy(ctx->alpn + at, o->alpn[i], n);
		at += n;
	}
	ctx->alpn_len = (unsigned int)room;
	SSL_CTX_set_alpn_protos(ctx->ssl, ctx->alpn, ctx->alpn_len);
	SSL_CTX_set_alpn_select_cb(ctx->ssl, select_alpn, ctx);
	return 0;
}

/* What holds for every name. */
static SSL_CTX *plain_ctx(const struct pulse_tls_opts *o)
{
	SSL_CTX *ssl = SSL_CTX_new(TLS_method());

	if (!ssl)
		return NULL;
	SSL_CTX_set_min_proto_version(ssl, o->min_version == 13 ?
				      TLS1_3_VERSION : TLS1_2_VERSION);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION |
			    SSL_OP_NO_COMPRESSION |
			    SSL_OP_CIPHER_SERVER_PREFERENCE);
#ifdef SSL_OP_ENABLE_KTLS
	if (o->ktls != PULSE_OFF)
		SSL_CTX_set_options(ssl, SSL_OP_ENABLE_KTLS);
#endif
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS |
			 SSL_MODE_ENABLE_PARTIAL_WRITE |
			 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(ssl, (const unsigned char *)"pulse", 5);
	SSL_CTX_set_read_ahead(ssl, 1);
	return ssl;
}

/* ---- names of a server ----------------------------------------------------- */

static int by_name(const void *key, const void *element)
{
	return strcmp(key, ((const struct named *)element)->name);
}

static SSL_CTX *find_name(const struct ctx *ctx, const char *name)
{
	const struct named *n = bsearch(name, ctx->named, ctx->nr_named,
					sizeof(*ctx->named), by_name);

	return n ? n->ssl : NULL;
}

/* The name itself, or what has a "*" for its first label. */
static SSL_CTX *who_is(const struct ctx *ctx, const char *name)
{
	char small[256], *rest;
	size_t len = strlen(name);
	SSL_CTX *ssl;

	if (!len || len >= sizeof(small))
		return NULL;
	for (size_t i = 0; i <= len; i++)
		small[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ?
				  name[i] | 0x20 : name[i]);
	ssl = find_name(ctx, small);
	rest = strchr(small, '.');
	if (ssl || !rest || rest == small)
		return ssl;
	*--rest = '*';
	return find_name(ctx, rest);
}

/* Also called where the client names nobody. */
static int choose_name(SSL *ssl, int *alert, void *arg)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct ctx *ctx = arg;
	SSL_CTX *found = name ? who_is(ctx, name) : NULL;

	if (!found && ctx->only_names) {
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	if (found && !SSL_set_SSL_CTX(ssl, found)) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	return found ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int load_name(struct ctx *ctx, const struct pulse_tls_opts *o,
		     const struct pulse_tls_name *name, char *why, size_t len)
{
	SSL_CTX *ssl = plain_ctx(o);

	if (!ssl)
		return -ENOMEM;
	ctx->named[ctx->nr_named++] = (struct named){ name->name, ssl };
	/* The session goes on with what stands here. */
	SSL_CTX_set1_cert_store(ssl, SSL_CTX_get_cert_store(ctx->ssl));
	if (ctx->alpn)
		SSL_CTX_set_alpn_select_cb(ssl, select_alpn, ctx);
	return load_pair(ssl, name->cert_file, name->key_file, why, len);
}

static int load_names(struct ctx *ctx, const struct pulse_tls_opts *o, char *why,
		      size_t len)
{
	size_t nr = 0;
	int err = 0;

	while (o->names && o->names[nr])
		nr++;
	if (!nr)
		return 0;
	ctx->only_names = o->only_names == PULSE_ON;
	ctx->named = calloc(nr, sizeof(*ctx->named));
	if (!ctx->named)
		return -ENOMEM;
	for (size_t i = 0; i < nr && !err; i++)
		err = load_name(ctx, o, o->names[i], why, len);
	SSL_CTX_set_tlsext_servername_callback(ctx->ssl, choose_name);
	SSL_CTX_set_tlsext_servername_arg(ctx->ssl, ctx);
	return err;
}

/* ---- all of a context ------------------------------------------------------- */

static void ctx_free(void *arg)
{
	struct ctx *ctx = arg;

	for (size_t i = 0; i < ctx->nr_named; i++)
		SSL_CTX_free(ctx->named[i].ssl);
	free(ctx->named);
	SSL_CTX_free(ctx->ssl);
	free(ctx->alpn);
	free(ctx);
}

static int ctx_new(const struct pulse_tls_opts *o, void **out, char *why,
		   size_t len)
{
	struct ctx *ctx = calloc(1, sizeof(*ctx));
	int err;

	*why = 0;
	pthread_once(&method_once, make_method);
	if (!ctx || !method) {
		free(ctx);
		return -ENOMEM;
	}
	ctx->verify = o->verify;
	ctx->ssl = plain_ctx(o);
	if (!ctx->ssl) {
		free(ctx);
		return -ENOMEM;
	}
	err = load_pair(ctx->ssl, o->cert_file, o->key_file, why, len);
	if (!err)
		err = load_authorities(ctx->ssl, o, why, len);
	if (!err)
		err = load_alpn(ctx, o, why, len);
	if (!err)
		err = load_names(ctx, o, why, len);
	if (err) {
		ctx_free(ctx);
		return err;
	}
	*out = ctx;
	return 0;
}

/* ---- sessions ------------------------------------------------------------- */

static void session_free(void *arg)
{
	struct session *s = arg;

	SSL_free(s->ssl);
	BIO_free(s->sock);
	free(s);
}

/* The peer must be @name: an IP address as such, anything else as a host. */
static bool expect(SSL *ssl, const char *name)
{
	unsigned char ip[16];

	if (inet_pton(AF_INET, name, ip) == 1 ||
	    inet_pton(AF_INET6, name, ip) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl),
						     name) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set_tlsext_host_name(ssl, name) == 1 &&
	       SSL_set1_host(ssl, name) == 1;
}

static int session_new(void *arg, const char *name,
		       const struct pulse__tls_io *io, void *io_arg, void **out)
{
	struct session *s = calloc(1, sizeof(*s));
	struct ctx *ctx = arg;
	BIO *bio = NULL;

	if (!s)
		return -ENOMEM;
	s->io = io;
	s->arg = io_arg;
	s->ssl = SSL_new(ctx->ssl);
	if (s->ssl)
		bio = BIO_new(method);
	if (!bio)
		goto fail;
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	SSL_set_bio(s->ssl, bio, bio);
	if (!name) {
		SSL_set_accept_state(s->ssl);
		if (ctx->verify == PULSE_ON)
			SSL_set_verify(s->ssl, SSL_VERIFY_PEER |
				       SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	} else {
		SSL_set_connect_state(s->ssl);
		if (ctx->verify != PULSE_OFF)
			SSL_set_verify(s->ssl, SSL_VERIFY_PEER, NULL);
		if (!expect(s->ssl, name))
			goto fail;
	}
	*out = s;
	return 0;
fail:
	session_free(s);
	return -ENOMEM;
}

/* Why a call gave nothing: -EAGAIN, 0 for the peer's end, or broken. */
static int outcome(struct session *s, int ret)
{
	int code = SSL_get_error(s->ssl, ret);

	if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE)
		return -EAGAIN;
	if (code == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (s->err)
		return s->err;
	return s->ended || code == SSL_ERROR_SYSCALL ? -ECONNRESET : -EPROTO;
}

static int handshake(void *arg, char *why, size_t len)
{
	struct session *s = arg;
	long verdict;
	int ret, err;

	ERR_clear_error();
	ret = SSL_do_handshake(s->ssl);
	if (ret == 1)
		return 0;
	err = outcome(s, ret);
	if (err == -EAGAIN)
		return err;
	verdict = SSL_get_verify_result(s->ssl);
	if (verdict != X509_V_OK) {
		snprintf(why, len, "certificate: %s",
			 X509_verify_cert_error_string(verdict));
		ERR_clear_error();
		return -EKEYREJECTED;
	}
	return say(why, len, err ? err : -ECONNRESET, "handshake", NULL);
}

static ssize_t session_read(void *arg, void *buf, size_t len)
{
	struct session *s = arg;
	size_t n;
	int ret;

	ERR_clear_error();
	ret = SSL_read_ex(s->ssl, buf, len, &n);
	return ret == 1 ? (ssize_t)n : outcome(s, ret);
}

static int session_write(void *arg, const void *buf, size_t len)
{
	struct session *s = arg;
	size_t n;
	int ret, err;

	ERR_clear_error();
	ret = SSL_write_ex(s->ssl, buf, len, &n);
	if (ret == 1)
		return n == len ? 0 : -EPROTO;
	err = outcome(s, ret);
	/* put() always takes all: there is nothing to wait for */
	return err && err != -EAGAIN ? err : -EPIPE;
}

static void session_shutdown(void *arg)
{
	struct session *s = arg;

	ERR_clear_error();
	if (SSL_is_init_finished(s->ssl))
		SSL_shutdown(s->ssl);
	ERR_clear_error();
}

static bool session_pending(void *arg)
{
	struct session *s = arg;

	return SSL_has_pending(s->ssl) || s->ended || s->err ||
	       SSL_get_shutdown(s->ssl) & SSL_RECEIVED_SHUTDOWN;
}

static void session_info(void *arg, struct pulse_tls_info *info)
{
	struct session *s = arg;
	const char *name = SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name);
	const unsigned char *alpn;
	unsigned int len;

	snprintf(info->server_name, sizeof(info->server_name), "%s",
		 name ? name : "");
	info->version = SSL_version(s->ssl) == TLS1_3_VERSION ? 13 : 12;
	if (SSL_get0_peer_certificate(s->ssl) &&
	    SSL_get_verify_mode(s->ssl) & SSL_VERIFY_PEER &&
	    SSL_get_verify_result(s->ssl) == X509_V_OK)
		info->flags |= PULSE_TLS_VERIFIED;
	if (s->kernel_sends)
		info->flags |= PULSE_TLS_KERNEL_SENDS;
	if (s->kernel_receives)
		info->flags |= PULSE_TLS_KERNEL_RECEIVES;
	snprintf(info->cipher, sizeof(info->cipher), "%s",
		 SSL_get_cipher_name(s->ssl));
	SSL_get0_alpn_selected(s->ssl, &alpn, &len);
	if (len)
		memcpy(info->alpn, alpn, len);
	info->alpn[len] = 0;
}

__attribute__((visibility("default")))
const struct pulse__tls_engine pulse__tls_engine = {
	.abi = PULSE__TLS_ABI,
	.ctx_new = ctx_new,
	.ctx_free = ctx_free,
	.session_new = session_new,
	.session_free = session_free,
	.handshake = handshake,
	.read = session_read,
	.write = session_write,
	.shutdown = session_shutdown,
	.pending = session_pending,
	.info = session_info,
};
