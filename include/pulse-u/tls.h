/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tls.h - certificates and rules of TLS connections (transport.h, "tls:...").
 *
 * TLS is a plug-in, pulse-u/transport-tls.so beside the library, which is
 * loaded at its first use and needs OpenSSL 3 (Debian: libssl3). Where it
 * cannot be had all of this answers -EOPNOTSUPP, and the log says why.
 *
 *	PULSE_OPTS(pulse_tls_opts, to, .cert_file = "srv.pem", .key_file = "srv.key");
 *	err = pulse_tls_create(&to, &tls);
 *	PULSE_OPTS(pulse_listener_opts, lo, .address = "tls:*:443", .tls = tls);
 *
 * A server may have several names, each with a certificate of its own: clients say
 * whom they want to reach (SNI, RFC 6066), as those of this library do. Files that
 * have changed are taken over while it serves, pulse_tls_reload().
 */
#ifndef PULSE_U_TLS_H
#define PULSE_U_TLS_H

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_tls;
struct pulse_transport;

#define PULSE_TLS_NAMES_MAX 10000	/* names of one server */

/**
 * struct pulse_tls_name - a name of a server, and what proves it
 * @sz: sizeof(struct pulse_tls_name)
 * @name: "chat.example.com"; "*.example.com" is each that has one label more. In any
 *	case, without a dot at the end
 * @cert_file: PEM file of its certificate and those up to its authority
 * @key_file: PEM file of its key; default: it is in @cert_file
 */
struct pulse_tls_name {
	size_t sz;
	const char *name;
	const char *cert_file;
	const char *key_file;
};

/**
 * struct pulse_tls_opts - how to prove who one is, and whom to believe
 * @sz: sizeof(struct pulse_tls_opts)
 * @cert_file: PEM file of the own certificate and those up to its authority;
 *	needed to listen; default NULL: none
 * @key_file: PEM file of its key; default: it is in @cert_file
 * @ca_file: PEM file of the authorities to believe; default: the system's
 * @alpn: protocols (RFC 7301) in the order of preference, 1 to 255 bytes each,
 *	NULL at the end; a listener refuses clients that offer others only;
 *	default: none
 * @verify: enum pulse_switch: the peer must have a certificate of such an
 *	authority, made out to its name; default: servers must, clients need not
 * @min_version: 12 or 13, for TLS 1.2 or 1.3; default 12
 * @ktls: enum pulse_switch: let the kernel encrypt and decrypt where it can, see
 *	below; default on
 * @handshake_timeout_ms: for a handshake with a listener; default 10 s
 * @names: more certificates of a listener, by the name that a client asks for, NULL
 *	at the end; a whole name goes before one with a "*". Others get @cert_file.
 *	Default: none
 * @only_names: enum pulse_switch: refuse clients that ask for none of @names; the
 *	certificate of @cert_file is then shown to nobody; default off
 * @reserved: 0
 *
 * Nothing of it is needed when the call returns.
 *
 * A record that is not what the peer has made of it ends the connection with
 * -EPROTO: nothing of it is delivered, nor anything behind it. One that ends without
 * the peer's word that it does is -ECONNRESET.
 *
 * The kernel does it for TCP sockets of epoll's loops, where it has the module
 * tls and the cipher (AES-GCM, ChaCha20-Poly1305). What is received it decrypts with
 * TLS 1.2, and with TLS 1.3 from OpenSSL 3.2 on (Debian 13; not Debian 12), unless
 * half a record was there already when the keys were agreed on. New keys within a
 * connection of TLS 1.3, which are rare, only kernels from 6.14 on can take: on
 * others they end it with -EPROTO or the like.
 */
struct pulse_tls_opts {
	size_t sz;
	const char *cert_file;
	const char *key_file;
	const char *ca_file;
	const char *const *alpn;
	int verify;
	uint32_t min_version;
	int ktls;
	uint32_t handshake_timeout_ms;
	const struct pulse_tls_name *const *names;
	int only_names;
	uint32_t reserved;
};

/**
 * pulse_tls_create() - load certificates and rules
 * @opts: or NULL: a client that believes the system's authorities
 * @out: for any number of connections and listeners, of any thread
 *
 * Files are read now, and again by pulse_tls_reload().
 *
 * Return: 0; -EOPNOTSUPP no plug-in, or no OpenSSL; -EINVAL; -EEXIST a name stands
 * twice in @opts->names; -ENOENT, -EACCES
 * a file that cannot be read; -EKEYREJECTED no certificate or key in it, or
 * they are not a pair; -E2BIG; -ENOMEM. The log says which file and why.
 */
PULSE_API int pulse_tls_create(const struct pulse_tls_opts *opts,
			       struct pulse_tls **out);

/**
 * pulse_tls_reload() - take new certificates and rules
 * @tls: from any thread, while it is used
 * @opts: what is to hold; NULL: what holds already, with the files as they are now
 *
 * All of it or nothing. Handshakes that begin from now on use it; connections that
 * are open, or in their handshake, keep what they have.
 *
 * Return: as pulse_tls_create(), and then all is as before; -EINVAL also: without a
 * certificate, where there was one, for listeners may use it.
 */
PULSE_API int pulse_tls_reload(struct pulse_tls *tls,
			       const struct pulse_tls_opts *opts);

/**
 * pulse_tls_destroy() - give it up
 * @tls: what is connected or listens with it goes on
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_tls_destroy(struct pulse_tls *tls);

/* Of struct pulse_tls_info. */
enum pulse_tls_flag {
	PULSE_TLS_VERIFIED = 1 << 0,	/* the peer's certificate is believed */
	PULSE_TLS_KERNEL_SENDS = 1 << 1,	/* kTLS encrypts what is sent */
	PULSE_TLS_KERNEL_RECEIVES = 1 << 2,	/* and decrypts what is received */
};

/**
 * struct pulse_tls_info - what two peers have agreed on
 * @sz: sizeof(struct pulse_tls_info), set by the caller
 * @version: 12 or 13, for TLS 1.2 or 1.3
 * @flags: enum pulse_tls_flag
 * @cipher: its name
 * @alpn: the protocol, "" for none
 * @server_name: whom the client has asked for, "" for nobody; as it came
 */
struct pulse_tls_info {
	size_t sz;
	uint32_t version;
	uint32_t flags;
	char cipher[64];
	char alpn[256];
	char server_name[256];
};

/**
 * pulse_tls_get_info() - look at a connection
 * @transport: it is open
 * @out: its sz must be set
 *
 * Return: 0; -EINVAL; -EOPNOTSUPP it is not a TLS transport.
 */
PULSE_API int pulse_tls_get_info(const struct pulse_transport *transport,
				 struct pulse_tls_info *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_TLS_H */
