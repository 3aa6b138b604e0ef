/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tls.h - the TLS carrier inside: contexts, and a transport over another one.
 */
#ifndef PULSE__IO_TLS_H
#define PULSE__IO_TLS_H

#include "base/snap.h"
#include "io/plugin/tls.h"
#include "io/poller_int.h"
#include "io/stream.h"

/* ---- tls_rules.c ---------------------------------------------------------- */

/* What holds for the handshakes that begin now; never changes. */
struct pulse__tls_rules {
	struct pulse__version version;	/* first */
	const struct pulse__tls_engine *engine;
	void *ctx;			/* the engine's */
	int64_t handshake_ns;
	struct pulse_tls_opts o;	/* copies, to read the files again */
	size_t nr_names;
	struct pulse_tls_name *names;
};

struct pulse_tls {
	struct pulse__snap rules;
	int refs;
};

struct pulse_tls *pulse__tls_get(struct pulse_tls *tls);
void pulse__tls_put(struct pulse_tls *tls);
/* A reference to the rules of now, for pulse__tls_rules_put(). */
struct pulse__tls_rules *pulse__tls_rules_get(struct pulse_tls *tls);
void pulse__tls_rules_put(struct pulse__tls_rules *rules);

/* ---- tls.c ---------------------------------------------------------------- */

/*
 * A session over @lower, which it owns: from now on, or when @lower tells that
 * it is open. @name as in struct pulse__tls_engine. @fn gets
 * PULSE_TRANSPORT_OPEN or _ERROR once, never from within this call. The reference
 * to @rules becomes its own in any case. On failure @lower stays the caller's.
 */
int pulse__tls_wrap(struct pulse__tls_rules *rules,
		    struct pulse_transport *lower, bool open, const char *name,
		    int64_t deadline_ns, pulse_transport_fn fn, void *arg,
		    struct pulse_transport **out);
/* Where it stands in the list of its listener. */
struct pulse__list *pulse__tls_link(struct pulse_transport *t);
struct pulse_transport *pulse__tls_of_link(struct pulse__list *link);

extern const struct pulse__carrier pulse__carrier_tls;

#endif /* PULSE__IO_TLS_H */
